"""Reading the environment, strictly: an unreadable value stops the process at start-up."""

import json
import os
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured


def env_text(name: str, *, default: str) -> str:
    """Return NAME as it stands; an empty value counts as absent."""
    return os.environ.get(name) or default


def env_list(name: str, *, default: str) -> list[str]:
    """Return the comma-separated parts of NAME, blanks removed."""
    return [part.strip() for part in env_text(name, default=default).split(",") if part.strip()]


def env_bool(name: str, *, default: bool) -> bool:
    """Return True for "true", False for "false"; any other value is refused."""
    value = env_text(name, default=str(default)).lower()
    if value not in {"true", "false"}:
        raise ImproperlyConfigured(f"{name} is {value!r}; say true or false.")
    return value == "true"


def env_int(name: str, *, default: int) -> int:
    """Return a whole number; its unit is part of the name (ENGINE_TIMEOUT_SECONDS)."""
    value = env_text(name, default=str(default))
    try:
        return int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}; give a whole number.") from None


def env_json(name: str, *, default: str) -> dict[str, Any]:
    """Return a JSON object."""
    try:
        value = json.loads(env_text(name, default=default))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ImproperlyConfigured(f"{name} is no JSON object.")
    return value


def env_secret(name: str) -> str | None:
    """Return a secret from the file that NAME_FILE points to, or else from NAME."""
    if path := os.environ.get(f"{name}_FILE"):
        secret = Path(path).read_text(encoding="utf-8").strip()
        if not secret:
            raise ImproperlyConfigured(f"{name}_FILE is {path}, which is empty.")
        return secret
    return os.environ.get(name) or None
