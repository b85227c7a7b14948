"""Settings. Every value that differs between places is an environment variable.

The README lists the variables; each embedded part (database, broker, engine) gives
way to an external one by setting a single variable.
"""

from pathlib import Path
from typing import Any

import django_stubs_ext
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import salted_hmac
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from wowconsole.env import env_bool, env_int, env_json, env_list, env_secret, env_text
from wowconsole.stack.paths import engine_url, postgres_url, secret_key, valkey_url

django_stubs_ext.monkeypatch()  # ModelAdmin[Unit] and ModelForm[Unit] also at run time

# Core

BASE_DIR = Path(__file__).resolve().parent.parent
HOME_DIR = Path(env_text("WOWCONSOLE_HOME", default=str(BASE_DIR / ".local"))).resolve()
MODELS_DIR = HOME_DIR / "models"
ARTIFACTS_DIR = Path(env_text("ARTIFACTS_DIR", default=str(HOME_DIR / "artifacts"))).resolve()
STARTER_ADAPTER_DIR = BASE_DIR / "agents" / "adapters" / "starter"

DEBUG = env_bool("DEBUG", default=False)
DEMO = env_bool("DEMO", default=True)
SECRET_KEY = env_secret("SECRET_KEY") or secret_key(HOME_DIR)
SECRET_KEY_FALLBACKS = env_list("SECRET_KEY_FALLBACKS", default="")  # earlier ones, still read
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", default="127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS", default="")
PUBLIC_URL = env_text("PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/")
ROOT_URLCONF = "wowconsole.urls"
ASGI_APPLICATION = "wowconsole.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "bootstrap",
    "channels",
    "csp",
    "django_bootstrap5",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "template_partials",
    "wowconsole",
    "knowledge",
    "agents",
    "dialogues",
    "training",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "wowconsole.logs.RequestLogMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "wowconsole.idempotency.IdempotencyMiddleware",
    "wowconsole.errors.RefusedMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "wowconsole.navigation.navigation",
            ],
        },
    }
]

LANGUAGE_CODE = "en"
TIME_ZONE = env_text("TIME_ZONE", default="UTC")
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = env_text("STATIC_ROOT", default="") or None  # for collectstatic behind a proxy
WHITENOISE_USE_FINDERS = True  # no collectstatic step on a fresh machine

# Accounts and transport security

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "overview"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "wowconsole.accounts.ClosedSignup"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/300s/key"}

# How many proxies of yours add to X-Forwarded-For; what a client puts there counts for nothing.
PROXIES = env_int("PROXIES", default=0)
ALLAUTH_TRUSTED_PROXY_COUNT = PROXIES

HTTPS = env_bool("HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = env_int("HSTS_SECONDS", default=31_536_000 if HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # probes speak plain HTTP
X_FRAME_OPTIONS = "DENY"
# Pages that may embed the chat, besides our own and those of the registered sites.
CHAT_ORIGINS = env_list("CHAT_ORIGINS", default="")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "style-src": ["'self'", "'unsafe-inline'"],  # htmx's indicator, SVG charts
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Storage


def database(url: str) -> dict[str, Any]:
    """Read a libpq URL into Django's form; a Unix socket is ?host=/folder."""
    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError as error:
        raise ImproperlyConfigured(f"DATABASE_URL is not readable: {error}") from None
    # Only the search has its statement prepared (knowledge/searching.py), and keeps its plan.
    plans = "-c plan_cache_mode=force_generic_plan"
    options: dict[str, Any] = {"options": f"-c hnsw.iterative_scan=strict_order {plans}"}
    options["prepare_threshold"] = 0
    options |= {name: parts[name] for name in ("sslmode", "sslrootcert") if name in parts}
    if pool_size := env_int("DATABASE_POOL_SIZE", default=0):
        options["pool"] = {"min_size": 2, "max_size": pool_size, "timeout": 10}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.get("dbname", "wowconsole"),
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password", ""),
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "OPTIONS": options,
        "CONN_HEALTH_CHECKS": True,  # a pool replaces what a failover cut off
    }


DATABASES = {"default": database(env_secret("DATABASE_URL") or postgres_url(HOME_DIR))}
REDIS_URL = env_secret("REDIS_URL") or valkey_url(HOME_DIR)
CACHES = {"default": {"BACKEND": "wowconsole.caching.FailsafeCache", "LOCATION": REDIS_URL}}

# What customers send: shared by web and worker processes, never served by address alone.
FILES_DIR = Path(env_text("FILES_DIR", default=str(HOME_DIR / "files"))).resolve()
FILES_STORAGE = env_text("FILES_STORAGE", default="")  # a Django storage class, of S3 say
STORAGES = {
    "default": {
        "BACKEND": FILES_STORAGE or "django.core.files.storage.FileSystemStorage",
        "OPTIONS": env_json("FILES_STORAGE_OPTIONS", default="{}")
        if FILES_STORAGE
        else {"location": FILES_DIR, "file_permissions_mode": 0o600},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
IMAGE_MEGABYTES = env_int("IMAGE_MEGABYTES", default=10)
IMAGE_MEGAPIXELS = env_int("IMAGE_MEGAPIXELS", default=40)
VOICE_MEGABYTES = env_int("VOICE_MEGABYTES", default=10)
FILE_MEGABYTES = env_int("FILE_MEGABYTES", default=10)
PDF_PAGES = env_int("PDF_PAGES", default=5)  # of a customer's document that are read

# Queues and sockets

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_connect_timeout": 1}]},
    }
}
# Celery names Unix sockets differently from redis-py.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://")
CELERY_TASK_IGNORE_RESULT = True  # state lives in rows
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Runs are rows with leases, so no task needs the broker's patience for long.
    "visibility_timeout": 24 * 3600,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    "socket_keepalive": True,
    # For a broker that is silent, who sends a task waits these a few times, no longer: a sweep
    # sends it again. Workers wait for tasks without reading, so that they may come hours apart.
    "socket_connect_timeout": 1,
    "socket_timeout": 2,
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0}
CELERY_TASK_DEFAULT_QUEUE = "celery"
CELERY_TASK_ROUTES = {
    "training.tasks.execute_run": {"queue": "gpu"},
    # A call may take minutes, most of it waiting: it must not hold up answers, nor they it.
    "dialogues.tasks.do_job": {"queue": "jobs"},
    "dialogues.tasks.try_call": {"queue": "jobs"},
}
CELERY_BEAT_SCHEDULE = {
    "forget-old-requests": {"task": "wowconsole.tasks.forget_old_requests", "schedule": 3600.0},
    "forget-spent-proofs": {"task": "dialogues.tasks.forget_spent_proofs", "schedule": 3600.0},
    "finish-abandoned-turns": {
        "task": "dialogues.tasks.finish_abandoned_turns",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "take-up-old-messages": {
        "task": "dialogues.tasks.take_up_old_messages",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    "publish-due-rules": {"task": "knowledge.tasks.publish_due_rules", "schedule": 5.0},
    "keep-scene-graphs": {"task": "knowledge.tasks.keep_scene_graphs", "schedule": 600.0},
    "note-questions": {
        "task": "dialogues.tasks.note_questions",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "sweep-proactive": {"task": "dialogues.tasks.sweep_proactive", "schedule": 5.0},
    "sweep-desk": {
        "task": "dialogues.tasks.sweep_desk",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "sweep-files": {"task": "dialogues.tasks.sweep_files", "schedule": 300.0},
    "look-for-gaps": {
        "task": "dialogues.tasks.look_for_gaps_everywhere",
        "schedule": crontab(hour=3, minute=30),
    },
    "settle-conflicts": {
        "task": "agents.tasks.settle_conflicts",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "list-servers": {
        "task": "agents.tasks.list_servers",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "resend-silent-jobs": {"task": "knowledge.tasks.resend_silent_jobs", "schedule": 10.0},
    "sweep-subagent-jobs": {
        "task": "dialogues.tasks.sweep_jobs",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "requeue-silent-runs": {"task": "training.tasks.requeue_silent_runs", "schedule": 10.0},
}

# Models: chat engine and embeddings

ENGINE_URL = env_text("ENGINE_URL", default=engine_url(HOME_DIR)).rstrip("/")
ENGINE_API_KEY = env_secret("ENGINE_API_KEY") or "none"
ENGINE_TIMEOUT_SECONDS = env_int("ENGINE_TIMEOUT_SECONDS", default=60)
# What a customer waits for at most before a rule is said as written, or a person takes over.
ENGINE_FIRST_TOKEN_SECONDS = env_int("ENGINE_FIRST_TOKEN_SECONDS", default=30)
TURN_SECONDS = env_int("TURN_SECONDS", default=60)
# What each part of a turn should take; the trace shows what took longer.
LATENCY_BUDGETS_MS = env_json(
    "LATENCY_BUDGETS_MS",
    default='{"search": 200, "first_text": 2000, "engine": 8000, "tools": 2000,'
    ' "subagents": 150, "total": 10000}',
)
# US cents; 0: no cap. Above it a conversation goes to a person.
CONVERSATION_CAP_CENTS = env_int("CONVERSATION_CAP_CENTS", default=0)
DAY_CAP_CENTS = env_int("DAY_CAP_CENTS", default=0)
# Of a day's answers: where the model wrote nothing readable at first in more, the overview warns.
UNREADABLE_ALERT_PERCENT = env_int("UNREADABLE_ALERT_PERCENT", default=5)
# Lets a model word replies in languages whose promises and deeds can't be read; their figures and
# addresses are checked all the same.
ANY_LANGUAGE = env_bool("ANY_LANGUAGE", default=False)
# A model that compares answers and rules: any server that speaks the OpenAI API. Without one,
# what only a judge can tell is left to people.
JUDGE_URL = env_text("JUDGE_URL", default="").rstrip("/")
JUDGE_MODEL = env_text("JUDGE_MODEL", default="")
JUDGE_API_KEY = env_secret("JUDGE_API_KEY") or "none"
# Hosts inside the network that tools may reach: "erp.example.internal" or "127.0.0.1:8042".
TOOL_HOSTS = [host.lower() for host in env_list("TOOL_HOSTS", default="")]
# Eyes and ears: any server that speaks the OpenAI API and takes images, or recordings. Without
# the one, pictures are only read (OCR); without the other, the extra `speech` hears.
VISION_URL = env_text("VISION_URL", default="").rstrip("/")
VISION_MODEL = env_text("VISION_MODEL", default="")
VISION_API_KEY = env_secret("VISION_API_KEY") or "none"
SPEECH_URL = env_text("SPEECH_URL", default="").rstrip("/")
SPEECH_MODEL = env_text("SPEECH_MODEL", default="whisper-1")
SPEECH_API_KEY = env_secret("SPEECH_API_KEY") or "none"
SPEECH_VOICE = env_text("SPEECH_VOICE", default="")  # of that server; "": eSpeak NG speaks
SPEECH_VOICE_MODEL = env_text("SPEECH_VOICE_MODEL", default="tts-1")
LOOK_WAIT_SECONDS = env_int("LOOK_WAIT_SECONDS", default=8)  # an answer waits for the evidence
DEMO_SHOP_TOKEN = salted_hmac("demo shop", "token", secret=SECRET_KEY).hexdigest()

# The telephone: whose line calls go through, and whom it may reach

SIP_TRUNK = env_text("SIP_TRUNK", default="")  # host or host:port of the provider or PBX
SIP_USER = env_text("SIP_USER", default="")
SIP_PASSWORD = env_secret("SIP_PASSWORD") or ""
SIP_FROM = env_text("SIP_FROM", default="")  # the number that callees see
# The only ones that are called: beginnings of numbers ("+44"), hosts ("@pbx.example") and
# single addresses ("100@pbx.example").
SIP_ALLOW = env_list("SIP_ALLOW", default="")
SIP_BIND = env_text("SIP_BIND", default="0.0.0.0")  # noqa: S104  # a trunk is seldom on loopback
SIP_ADVERTISE = env_text("SIP_ADVERTISE", default="")  # our address as the trunk sees it
SIP_PORTS = env_text("SIP_PORTS", default="")  # UDP, "40000-40199"; "": any free ones
SIP_RING_SECONDS = env_int("SIP_RING_SECONDS", default=30)
SIP_CALLS_AN_HOUR = env_int("SIP_CALLS_AN_HOUR", default=6)  # to one address

# Speaking first: who may tell of events, and how often a customer hears of them

EVENTS_KEY = env_secret("EVENTS_KEY") or secret_key(HOME_DIR, "events_key")
PROACTIVE_MOST = env_int("PROACTIVE_MOST", default=3)  # messages to one customer within…
PROACTIVE_DAYS = env_int("PROACTIVE_DAYS", default=7)
QUIET_FROM_HOUR = env_int("QUIET_FROM_HOUR", default=21)  # of the customer's time
QUIET_UNTIL_HOUR = env_int("QUIET_UNTIL_HOUR", default=8)  # equal hours: never quiet

# API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "wowconsole.apikeys.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["wowconsole.apikeys.HasScope"],
    "DEFAULT_PARSER_CLASSES": [
        "wowconsole.parsers.LevelJSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "wowconsole.apikeys.NewestFirst",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "wowconsole.errors.api_exception_handler",
    "DEFAULT_THROTTLE_RATES": {"chat-sessions": "30/min"},
    "PAGE_SIZE": 50,
    "NUM_PROXIES": PROXIES,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "WOWConsole",
    "DESCRIPTION": "Rules, dialogues, judgements, data sets, runs and releases.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",  # from a package: nothing is fetched from elsewhere
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "DraftKindEnum": "dialogues.models.DraftKind",
        "IndexStateEnum": "knowledge.models.IndexState",
        "JobStateEnum": "knowledge.models.JobState",
        "SubagentStateEnum": "dialogues.models.SubagentState",
        "VerdictEnum": "dialogues.models.Verdict",
    },
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "dialogues.chat.polling_schema.add",
    ],
}

# Logs: one JSON object a line when not on a terminal

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"structured": {"()": "wowconsole.logs.formatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["console"], "level": env_text("LOG_LEVEL", default="INFO")},
    # Uvicorn's own lines hold addresses whole, and so the tokens of chat sockets.
    "loggers": {
        name: {"level": "WARNING"}
        for name in (
            *("httpx", "httpx2", "openai", "uvicorn.access", "uvicorn.error"),
            *("aiosipua", "aiortp", "faster_whisper"),  # numbers that are called, for one
        )
    },
}
