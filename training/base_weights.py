"""The trainable copy of a base model that came as GGUF. Knows nothing of Django or adapters.

The engine serves `model.gguf` as it is; the trainers need the same weights as dense
float32 and a tokenizer that splits text exactly as the engine does.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

GGUF_NAME = "model.gguf"
COPY_NAME = "hf"

# llama.cpp's names of pre-tokenizers that split every digit off before the byte-level rule.
# The GGUF reader of transformers knows only the plain rule, which differs from the engine
# where several blanks or line ends stand before a number.
SINGLE_DIGIT_PRE_TOKENIZERS = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell"})


def ensure_hf_copy(model_dir: Path) -> Path:
    """Return the folder with `model_dir`'s weights as safetensors, made on first use.

    Takes about 20 s and 1.5 GB of memory the first time and a `stat` afterwards. The folder
    appears in one step, so neither a crash nor a second process leaves half of it.

    Raises:
        FileNotFoundError: there is neither a copy nor a `model.gguf`.
    """
    copy = model_dir / COPY_NAME
    if (copy / "config.json").is_file():
        return copy
    source = model_dir / GGUF_NAME
    if not source.is_file():
        raise FileNotFoundError(f"No base weights: {source} is missing.")
    scratch = Path(tempfile.mkdtemp(prefix=f".{COPY_NAME}-", dir=model_dir))
    try:
        _convert(source.resolve(), scratch)
        scratch.chmod(0o755)  # mkdtemp's 0700 and safetensors' 0600 hide from other accounts
        for path in scratch.iterdir():
            path.chmod(0o644)
        _move_unless_there(scratch, copy)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return copy


def _convert(source: Path, target: Path) -> None:
    # Imported here: seconds, and a gigabyte, that only the GPU worker should pay.
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    tokenizer = _engine_tokenizer(source)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _engine_tokenizer(source: Path) -> Any:
    """Return the GGUF's tokenizer, padding with a token that ends no turn."""
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    if tokenizer.pad_token == tokenizer.eos_token:
        # The file pads with the end of turn, which would be masked out of the loss with the
        # padding, so that the model never learns to stop.
        tokenizer.pad_token = tokenizer.unk_token
    if _pre_tokenizer_name(source) in SINGLE_DIGIT_PRE_TOKENIZERS:
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
            [Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)]
        )
    return tokenizer


def _pre_tokenizer_name(source: Path) -> str:
    """Return llama.cpp's name of the rule that splits text before BPE, "" if not given."""
    from gguf import GGUFReader

    field = GGUFReader(source).get_field("tokenizer.ggml.pre")
    return "" if field is None else str(field.contents())


def _move_unless_there(scratch: Path, copy: Path) -> None:
    try:
        os.replace(scratch, copy)
    except OSError:  # another process was first: a folder that is not empty isn't replaced
        if not (copy / "config.json").is_file():
            raise


if __name__ == "__main__":
    sys.stdout.write(f"{ensure_hf_copy(Path(sys.argv[1]))}\n")
