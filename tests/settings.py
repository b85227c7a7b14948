"""The project's settings on a throw-away PostgreSQL and Valkey.

They must run before Django reads its settings, hence a module of settings rather than a
fixture. DATABASE_URL and REDIS_URL, both set, replace them.
"""

import atexit
import os
from pathlib import Path

from tests.scratch import scratch_home
from wowconsole.stack.testing import ephemeral

os.environ.setdefault("WOWCONSOLE_HOME", scratch_home())
if not ("DATABASE_URL" in os.environ and "REDIS_URL" in os.environ):
    _running = ephemeral(Path(os.environ["WOWCONSOLE_HOME"]))
    os.environ.update(_running.__enter__())
    atexit.register(_running.__exit__, None, None, None)

from wowconsole.settings import *  # noqa: F403  # reads what was just set

# Set here, since setUpTestData runs before fixtures do.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
