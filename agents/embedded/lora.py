"""A PEFT LoRA directory read for a GGUF base model; numpy only, no torch.

Knows the Llama family alone, whose query and key rows GGUF keeps in another order than HF does.
"""

import json
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

WEIGHTS_NAME = "adapter_model.safetensors"
CONFIG_NAME = "adapter_config.json"
ARCHITECTURE = "llama"
GGUF_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
KEY_PATTERN = re.compile(r"^base_model\.model\.model\.layers\.(\d+)\.(.+)\.lora_([AB])\.weight$")
# What changes the arithmetic of a LoRA: weights merged without it would be others.
REFUSED_OPTIONS = (
    "use_dora",
    "fan_in_fan_out",
    "lora_bias",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "trainable_token_indices",
    "layer_replication",
)
MAX_HEADER_BYTES = 100_000_000

FloatArray = npt.NDArray[np.float32]


class AdapterError(ValueError):
    """The directory holds no LoRA that can be served on this base model."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Attention heads of the base model: `query` heads share `key` key-value heads."""

    query: int
    key: int


@dataclass(frozen=True, slots=True)
class Base:
    """What of the base model an adapter must fit: heads and GGUF shapes (in, out) by name."""

    heads: Heads
    shapes: dict[str, tuple[int, ...]]


def read_base(base_gguf: Path) -> Base:
    """Read heads and tensor shapes of a base GGUF; raise AdapterError if it is no Llama."""
    reader = gguf.GGUFReader(base_gguf)
    architecture = _field(reader, gguf.Keys.General.ARCHITECTURE)
    if architecture != ARCHITECTURE:
        raise AdapterError(f"{base_gguf.name} is a {architecture} model; only llama is supported.")
    query = int(_field(reader, gguf.Keys.Attention.HEAD_COUNT.format(arch=ARCHITECTURE)))
    key_name = gguf.Keys.Attention.HEAD_COUNT_KV.format(arch=ARCHITECTURE)
    key = int(_field(reader, key_name)) if key_name in reader.fields else query
    shapes = {t.name: tuple(int(n) for n in t.shape) for t in reader.tensors}
    return Base(Heads(query, key), shapes)


def _field(reader: gguf.GGUFReader, name: str) -> Any:
    # Any: a GGUF value is a string, a number or a list, as the file says.
    field = reader.fields.get(name)
    if field is None:
        raise AdapterError(f"The base model's file lacks the field {name}.")
    return field.contents()


def read_scale(adapter_dir: Path) -> float:
    """Return what B·A is multiplied by: alpha / rank (arXiv 2106.09685, section 4.1).

    rsLoRA's is alpha / sqrt(rank) (arXiv 2312.03732, eq. 3). Raises AdapterError for a
    configuration that is not plain LoRA.
    """
    config = _read_config(adapter_dir)
    if config.get("peft_type") != "LORA":
        raise AdapterError(f"Only LoRA adapters are served, not {config.get('peft_type')}.")
    used = [name for name in REFUSED_OPTIONS if config.get(name)]
    if config.get("bias", "none") != "none":
        used.append("bias")
    if used:
        raise AdapterError(f"The adapter uses {', '.join(used)}, which this engine cannot serve.")
    alpha, rank = float(config["lora_alpha"]), int(config["r"])
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _read_config(adapter_dir: Path) -> dict[str, Any]:
    # Any: PEFT's configuration has values of every JSON type.
    try:
        config = json.loads((adapter_dir / CONFIG_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AdapterError(f"{adapter_dir.name} has no {CONFIG_NAME}.") from error
    except ValueError as error:
        raise AdapterError(f"{CONFIG_NAME} is not JSON: {error}") from error
    if not isinstance(config, dict) or "r" not in config or "lora_alpha" not in config:
        raise AdapterError(f"{CONFIG_NAME} lacks r or lora_alpha.")
    return config


def read_lora(adapter_dir: Path, base: Base) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return A (rank, in) and B (out, rank) by the GGUF name of the tensor that they change.

    In float32, checked against the base model; the rows of q and k in GGUF's order.
    """
    path = adapter_dir / WEIGHTS_NAME
    if not path.is_file():
        raise AdapterError(f"{adapter_dir.name} has no {WEIGHTS_NAME}; other formats are refused.")
    found: dict[str, dict[str, FloatArray]] = {}
    for key, values in read_safetensors(path):
        name, side = gguf_name(key)
        _check_shape(name, side, values, base)
        found.setdefault(name, {})[side] = values
    lonely = [name for name, sides in found.items() if not _is_pair(sides)]
    if lonely or not found:
        raise AdapterError(f"The adapter lacks A or B of {', '.join(lonely) or 'every module'}.")
    return {
        name: (sides["a"], permute_rows(name, sides["b"], base.heads))
        for name, sides in found.items()
    }


def _is_pair(sides: dict[str, FloatArray]) -> bool:
    return len(sides) == 2 and sides["a"].shape[0] == sides["b"].shape[1]


def gguf_name(key: str) -> tuple[str, str]:
    """Return ("blk.N.x.weight", "a" or "b") for PEFT's key of a LoRA matrix."""
    match = KEY_PATTERN.match(key)
    module = GGUF_NAMES.get(match[2]) if match else None
    if match is None or module is None:
        raise AdapterError(
            f"{key} can't be served: target modules may be "
            f"{', '.join(name.split('.')[1] for name in GGUF_NAMES)}."
        )
    return f"blk.{match[1]}.{module}.weight", match[3].lower()


def _check_shape(name: str, side: str, values: FloatArray, base: Base) -> None:
    shape = base.shapes.get(name)
    if shape is None:
        raise AdapterError(f"The base model has no tensor {name}: the adapter is for another one.")
    size, got = (shape[0], values.shape[-1]) if side == "a" else (shape[1], values.shape[0])
    if values.ndim != 2 or size != got:
        raise AdapterError(f"{name}: lora_{side} is {values.shape}, the base model has {shape}.")


def permute_rows(name: str, values: FloatArray, heads: Heads) -> FloatArray:
    """Reorder the rows (out, …) of a q or k matrix from HF's halves to GGUF's rotated pairs.

    HF rotates row i of a head with row i + size/2; llama.cpp's "norm" RoPE rotates neighbours.
    Other modules are returned as they are.
    """
    count = {"attn_q": heads.query, "attn_k": heads.key}.get(name.split(".")[2])
    if count is None:
        return values
    halves = values.reshape(count, 2, values.shape[0] // count // 2, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


def read_safetensors(path: Path) -> Iterator[tuple[str, FloatArray]]:
    """Yield each tensor of a safetensors file as float32, sorted by name.

    The format is read here, because safetensors.numpy refuses bfloat16, the usual dtype of a
    trained adapter: 8 bytes of header length, a JSON header, then the raw little-endian values.
    """
    data = np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size >= 8 else None
    if data is None:
        raise AdapterError(f"{path.name} is empty.")
    length = struct.unpack("<Q", data[:8].tobytes())[0]
    if length > min(MAX_HEADER_BYTES, len(data) - 8):
        raise AdapterError(f"{path.name} is not a safetensors file.")
    try:
        header = json.loads(data[8 : 8 + length].tobytes())
        entries = sorted((k, v) for k, v in header.items() if k != "__metadata__")
        for key, entry in entries:
            start, end = entry["data_offsets"]
            raw = data[8 + length + start : 8 + length + end].tobytes()
            yield key, _to_float32(raw, entry["dtype"]).reshape(entry["shape"])
    except AdapterError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise AdapterError(f"{path.name} has a broken safetensors header.") from error


def _to_float32(raw: bytes, dtype: str) -> FloatArray:
    if dtype == "BF16":
        # bfloat16 is the upper half of a float32.
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    kinds = {"F32": "<f4", "F16": "<f2"}
    if dtype not in kinds:
        raise AdapterError(f"Adapter tensors must be F32, F16 or BF16, not {dtype}.")
    return np.frombuffer(raw, kinds[dtype]).astype(np.float32)
