"""A folder for a test session's servers, removed at its end, and those of killed sessions."""

import shutil
import tempfile
import time
from pathlib import Path

PREFIX = "wowconsole-test-"
DAY = 24 * 3600  # seconds; what is older is left over from a session that was killed

_kept = []


def scratch_home():
    """Return a new folder. It goes last of all at exit, after what runs in it was stopped."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if old.stat().st_mtime < time.time() - DAY:
            shutil.rmtree(old, ignore_errors=True)
    _kept.append(tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True))
    return _kept[-1].name
