"""Where the embedded parts live below HOME. Settings read this; nothing here starts anything."""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from urllib.parse import quote

DATABASE = "wowconsole"
NOBODY = 65534  # owns the sockets where root may not make user namespaces
LONGEST_SOCKET = 107  # bytes; sun_path of unix(7) less its final zero


def socket_dir(home: Path) -> Path:
    """Return the folder of the Unix sockets: HOME/run, or a short plain one in its place."""
    folder = home.resolve() / "run"
    fits = len(os.fsencode(folder / ".s.PGSQL.5432")) <= LONGEST_SOCKET
    if fits and quote(str(folder)) == str(folder):  # the three clients unquote URLs differently
        return folder
    digest = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]
    # Not TMPDIR, which differs between shells. private_dir() checks the owner before use.
    return Path("/tmp") / f"wowconsole-{os.geteuid()}-{digest}"  # noqa: S108


def private_dir(folder: Path) -> Path:
    """Make a folder that only its owner enters.

    Raises:
        PermissionError: somebody else made it first.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    trusted = {os.geteuid(), NOBODY} if os.geteuid() == 0 else {os.geteuid()}
    if folder.lstat().st_uid not in trusted:
        raise PermissionError(f"{folder} belongs to another user; remove it.")
    folder.chmod(0o700)
    return folder


def postgres_url(home: Path, database: str = DATABASE) -> str:
    """Return the libpq URL of the embedded database."""
    return f"postgres://postgres@/{database}?host={quote(str(socket_dir(home)), safe='')}"


def valkey_socket(home: Path) -> Path:
    return socket_dir(home) / "valkey.sock"


def valkey_url(home: Path) -> str:
    """Return the URL of the embedded broker, in redis-py's form."""
    return f"unix://{valkey_socket(home)}"


def engine_url(home: Path) -> str:
    """Return where the console on HOME serves its engine, or did last: the port is a free one."""
    with contextlib.suppress(FileNotFoundError):
        return _engine_file(home).read_text(encoding="utf-8").strip()
    return "http://127.0.0.1:8100/v1"


def note_engine(home: Path, url: str) -> None:
    """Let commands that are run beside the console find its engine."""
    private_dir(socket_dir(home))
    _engine_file(home).write_text(url, encoding="utf-8")


def _engine_file(home: Path) -> Path:
    return socket_dir(home) / "engine_url"


def secret_key(home: Path, name: str = "secret_key") -> str:
    """Return a secret of this installation's own, made at its first use and kept in HOME/name.

    Raises:
        SystemExit: HOME can't be written. Settings ask first of all, before any command
            could say so in better words than a traceback.
    """
    path = home / name
    try:
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(48))
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise SystemExit(f"Can't write to {home} ({error}); set WOWCONSOLE_HOME.") from None


def _write_once(path: Path, text: str) -> None:
    """Write a whole private file, or leave the one that another process was quicker to write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    try:
        draft.write_text(text, encoding="ascii")
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
