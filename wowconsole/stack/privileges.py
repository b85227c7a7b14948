"""Running PostgreSQL for root: it refuses to be root, and nobody should have to make a user.

The functions named `enter_*` run in the child between fork and exec.
"""

import ctypes
import functools
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from wowconsole.stack import StackError
from wowconsole.stack.paths import NOBODY

CLONE_NEWUSER = 0x10000000
LIBC = ctypes.CDLL(None, use_errno=True)  # os.unshare() comes with Python 3.12


def enter_as_is() -> None:
    """Keep the user as it is."""


def enter_namespace() -> None:
    """Become uid 65534 in a namespace of our own: outside it, every file stays root's.

    Raises:
        OSError: the kernel or the container forbids user namespaces.
    """
    if LIBC.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/self/{name}").write_text(f"{NOBODY} 0 1", encoding="ascii")


def enter_nobody() -> None:
    """Become the user nobody."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


@functools.cache
def unprivileged() -> Callable[[], None]:
    """Choose how a child gives up being root on this machine."""
    if os.geteuid() != 0:
        return enter_as_is
    return enter_namespace if _works(enter_namespace, ["true"]) else enter_nobody


def hand_over(folder: Path) -> None:
    """Give a folder and all below it to the user that `unprivileged` children are."""
    if os.geteuid() != 0:
        return
    owner = NOBODY if unprivileged() is enter_nobody else 0
    if folder.stat().st_uid != owner:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner, owner, follow_symlinks=False)


def reachable(package: Path, home: Path) -> Path:
    """Return a package's folder that `unprivileged` children may enter: a copy for nobody.

    Raises:
        StackError: nobody may not enter HOME.
    """
    if unprivileged() is not enter_nobody:
        return package
    if not _works(enter_nobody, ["test", "-x", str(home)]):
        raise StackError(
            f"PostgreSQL can't run as root and the user nobody can't enter {home}: "
            "set WOWCONSOLE_HOME to a folder every user may enter, such as /srv/wowconsole."
        )
    copies = home / "programs"
    if not copies.exists():
        draft = home / "programs.new"
        shutil.rmtree(draft, ignore_errors=True)
        for folder in package.parent.glob(f"{package.name}*"):  # its libraries lie beside it
            shutil.copytree(folder, draft / folder.name)
        draft.rename(copies)
    return copies / package.name


def _works(enter: Callable[[], None], command: list[str]) -> bool:
    try:
        return subprocess.run(command, preexec_fn=enter, check=False).returncode == 0
    except subprocess.SubprocessError:
        return False
