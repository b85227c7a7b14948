"""One llama.cpp server in a process of its own: `python -m agents.embedded.native <options>`.

Loading a model holds Python's lock for a second or two, and a failed assertion in native code
ends its process: neither may happen to the process that carries the other models' requests.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any

KEY_VARIABLE = "EMBEDDED_ENGINE_KEY"
HOST_CACHE_MIB = 128  # prefixes of other system prompts, kept outside the slots


@dataclass(frozen=True, slots=True)
class Options:
    """What one server serves. `context` is tokens per slot; a slot is one running request."""

    name: str
    model: str
    threads: int  # that read the prompt
    writing_threads: int
    slots: int
    context: int

    def to_json(self) -> str:
        """Return the command line argument that `main` reads."""
        return json.dumps(asdict(self))


def main() -> None:
    """Serve until standard input ends, which it does when the parent goes, however it goes."""
    options = Options(**json.loads(sys.argv[1]))
    server = start(options, os.environ[KEY_VARIABLE])
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    # The parent is gone or wants the memory back: nothing is left to finish in an orderly way.
    os._exit(0)


def start(options: Options, key: str) -> Any:  # Any: the package has no types
    """Load the model and listen on a free loopback port, for holders of `key` only."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.model_alias = {options.name}
    params.n_parallel = options.slots
    params.n_ctx = options.context * options.slots
    # One token of a small model is too little work to share: threads would mostly wait.
    params.cpuparams.n_threads = options.writing_threads
    params.cpuparams_batch.n_threads = options.threads
    params.api_keys = [key]
    params.cache_ram_mib = HOST_CACHE_MIB
    params.verbosity = 1
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
