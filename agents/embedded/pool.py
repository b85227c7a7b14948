"""Which models are served, and the native servers that hold the recently used ones in memory."""

import asyncio
import hashlib
import os
import re
import secrets
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from agents.embedded import lora, merging
from agents.embedded.native import KEY_VARIABLE, Options

NAME_PATTERN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")
START_SECONDS = 120.0
STOP_SECONDS = 5.0
CONVERSION = "2"  # part of the cache key: raise it when merging.py writes something else
MERGED_KEPT = 6  # files of models, the last used; a file of the shipped model has 145 MB


class Refused(Exception):
    """A request that can't be met: an HTTP status, OpenAI's error code, a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True)
class Places:
    """Where files are: `roots` are the folders below which adapters may be loaded from."""

    base_name: str
    base_gguf: Path
    cache_dir: Path
    roots: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Size of the engine: models in memory at once, threads, slots and tokens per slot."""

    resident: int = 3
    threads: int = 2  # that read a prompt
    writing_threads: int = 1  # that write the answer
    slots: int = 4
    context: int = 4096


@dataclass(eq=False, slots=True)
class Native:
    """A running native server. A retired one finishes its requests and then stops."""

    process: asyncio.subprocess.Process
    address: str
    key: str
    in_flight: int = 0
    retired: bool = False

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    async def stop(self) -> None:
        """End the process: it leaves by itself once its standard input is closed."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


async def start_native(options: Options) -> Native:
    """Start a native server and wait until its model is loaded; raise Refused if it can't be."""
    key = secrets.token_urlsafe(24)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agents.embedded.native", options.to_json()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, KEY_VARIABLE: key},
        # Ctrl-C reaches the whole group; the engine alone decides when its models go.
        start_new_session=True,
    )
    native = Native(process, "", key)
    try:
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    except BaseException:
        await native.stop()
        raise
    native.address = line.decode().strip()
    if not native.address.startswith("http"):
        await native.stop()
        raise Refused(500, "model_not_loaded", f"The model {options.name} could not be loaded.")
    return native


@dataclass(slots=True)
class Pool:
    """Models by name, loaded on first use; the least recently used leaves first."""

    places: Places
    limits: Limits = field(default_factory=Limits)
    adapters: dict[str, Path] = field(default_factory=dict)  # name → its merged GGUF
    resident: OrderedDict[str, Native] = field(default_factory=OrderedDict)  # newest use last
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _converting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stopping: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def names(self) -> list[str]:
        return [self.places.base_name, *self.adapters]

    async def load_adapter(self, name: str, directory: str) -> bool:
        """Serve the PEFT directory as `name`; return whether that changed anything.

        A name that is loaded already is swapped: its running requests finish on the old
        weights, later ones get the new.
        """
        if not NAME_PATTERN.match(name) or name == self.places.base_name:
            raise Refused(400, "invalid_name", f"{name!r} can't be the name of an adapter.")
        source = self._allowed(directory)
        async with self._converting:
            converted = await asyncio.to_thread(self._convert, source)
        if self.adapters.get(name) == converted:
            return False
        self.adapters[name] = converted
        self._retire(name)
        self._forget_old()
        return True

    def unload_adapter(self, name: str) -> None:
        """Forget an adapter; its running requests finish."""
        if self.adapters.pop(name, None) is None:
            raise Refused(404, "model_not_found", f"The adapter {name!r} is not loaded.")
        self._retire(name)

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Native]:
        """Hold the server of `name` in memory while the block runs; load it when needed."""
        native = self._running(name) or await self._load(name)
        native.in_flight += 1
        try:
            yield native
        finally:
            native.in_flight -= 1
            if native.retired and native.in_flight == 0:
                self._stop(native)

    async def close(self) -> None:
        """Stop every server, busy or not."""
        for native in list(self.resident.values()):
            self._stop(native)
        self.resident.clear()
        await asyncio.gather(*self._stopping)

    def _allowed(self, directory: str) -> Path:
        path = Path(directory).resolve()
        if not any(path.is_relative_to(root.resolve()) for root in self.places.roots):
            raise Refused(403, "path_not_allowed", "Adapters are loaded from the artifacts only.")
        if not path.is_dir():
            raise Refused(404, "adapter_not_found", f"There is no folder {path.name}.")
        return path

    def _convert(self, source: Path) -> Path:
        """Return the base with an adapter merged into it, written once per content."""
        digest = hashlib.sha256(f"{CONVERSION} {self.places.base_gguf.stat().st_size}".encode())
        for name in (lora.CONFIG_NAME, lora.WEIGHTS_NAME):
            path = source / name
            digest.update(path.read_bytes() if path.is_file() else b"")
        output = self.places.cache_dir / f"{digest.hexdigest()[:32]}.gguf"
        if not output.is_file():
            try:
                merging.write_merged(source, self.places.base_gguf, output)
            except lora.AdapterError as error:
                raise Refused(400, "invalid_adapter", str(error)) from error
            except OSError as error:
                why = f"The merged model could not be written: {error.strerror}."
                raise Refused(507, "not_written", why) from error
        output.touch()
        return output

    def _forget_old(self) -> None:
        """Delete the merged files that are not served and were not loaded lately."""
        files = sorted(self.places.cache_dir.glob("*.gguf"), key=lambda path: -path.stat().st_mtime)
        for path in files[MERGED_KEPT:]:
            if path not in self.adapters.values():
                path.unlink(missing_ok=True)

    def _running(self, name: str) -> Native | None:
        if name not in self.names:
            raise Refused(404, "model_not_found", f"The model {name!r} does not exist.")
        native = self.resident.get(name)
        if native is None or not native.alive:
            return None
        self.resident.move_to_end(name)
        return native

    async def _load(self, name: str) -> Native:
        async with self._loading:
            while (native := self._running(name)) is None:
                merged = self.adapters.get(name)
                started = await start_native(self._options(name, merged))
                if self.adapters.get(name) != merged:  # swapped or unloaded meanwhile
                    self._stop(started)
                    continue
                self.resident[name] = started
                self._retire_surplus(name)
            return native

    def _options(self, name: str, merged: Path | None) -> Options:
        limits = self.limits
        return Options(
            name=name,
            model=str(merged or self.places.base_gguf),
            threads=limits.threads,
            writing_threads=limits.writing_threads,
            slots=limits.slots,
            context=limits.context,
        )

    def _retire_surplus(self, newest: str) -> None:
        others = [name for name in self.resident if name != newest]
        # sorted is stable: idle servers first, among them the least recently used.
        others.sort(key=lambda name: self.resident[name].in_flight > 0)
        for name in others[: max(0, len(self.resident) - self.limits.resident)]:
            self._retire(name)

    def _retire(self, name: str) -> None:
        native = self.resident.pop(name, None)
        if native is None:
            return
        native.retired = True
        if native.in_flight == 0:
            self._stop(native)

    def _stop(self, native: Native) -> None:
        task = asyncio.ensure_future(native.stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
