"""GGUF files as checkpoints: listed from the header, dequantized tensor by tensor on access.

Dequantizing is the `gguf` package's. Tensors of Llama-type models get their Hugging
Face names, and the rows of their query and key projections go back to the half-split rotary order
that GGUF interleaves.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from workbench.errors import WorkbenchError
from workbench.models import extras, gguf_header, shards
from workbench.models.checkpoint import Checkpoint, Entry, TensorInfo
from workbench.models.gguf_header import Header, Record

OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
INNER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def open_gguf(path: str | Path) -> Checkpoint:
    """Open a GGUF file; arrays come as float32 `(rows, columns)`, dequantized exactly on access.

    A truncated or corrupt file, and a missing `gguf` package, are `WorkbenchError`s.
    """
    path = Path(path)
    package = _package()
    try:
        with path.open("rb") as file:
            header = gguf_header.read_header(file)
        buffer = np.memmap(path, np.uint8, "r")
        entries = [_entry(package, path, buffer, header, record) for record in header.records]
        return Checkpoint(path, entries, lambda: shards.release([buffer]))
    except (ValueError, KeyError, TypeError, OverflowError, ZeroDivisionError) as error:
        raise WorkbenchError(
            str(path), f"it is truncated or corrupt ({error})", "fetch the file again"
        ) from None


def llama_name(name: str) -> str:
    """The Hugging Face name of a Llama tensor; a name that is not in the table stays.

    >>> llama_name("blk.3.attn_q.weight")
    'model.layers.3.self_attn.q_proj.weight'
    """
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name)
    if match and match[2] in INNER:
        return f"model.layers.{match[1]}.{INNER[match[2]]}.{match[3]}"
    return OUTER.get(name, name)


def unpermute(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key projection from interleaved pairs to the half-split rotary order.

    `rows` is `(heads * head_size, ...)` with even `head_size`.

    >>> unpermute(np.arange(4), 1).tolist()
    [0, 2, 1, 3]
    """
    size = rows.shape[0] // heads
    pairs = rows.reshape(heads, size // 2, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _entry(package, path: Path, buffer: np.ndarray, header: Header, record: Record) -> Entry:
    llama = header.metadata.get("general.architecture") == "llama"
    kind = package.GGMLQuantizationType(record.kind)
    block, block_bytes = package.GGML_QUANT_SIZES[kind]
    nbytes = math.prod(record.shape) // block * block_bytes
    if record.offset + nbytes > len(buffer):
        raise ValueError(f"{record.name!r} ends after the end of the file")
    name = llama_name(record.name) if llama else record.name
    info = TensorInfo(name, record.shape, kind.name.lower(), nbytes, path.name)
    heads = _heads(header.metadata, record.name) if llama else 0

    row = nbytes // record.shape[0] if record.shape and record.shape[0] else nbytes

    def rows(first: int, last: int) -> np.ndarray:
        raw = buffer[record.offset + first * row : record.offset + last * row]
        shape = (last - first, *record.shape[1:])
        raw = raw.reshape(*shape[:-1], -1) if len(shape) > 1 else raw
        return _dequantize(package, raw, kind).reshape(shape)

    def read() -> np.ndarray:
        values = rows(0, record.shape[0])
        return unpermute(values, heads) if heads else values

    whole_rows = len(record.shape) > 1 and not heads
    return Entry(info, read, rows if whole_rows else None)


def _dequantize(package, rows: np.ndarray, kind) -> np.ndarray:
    if kind.name in ("F32", "F64") or kind.name.startswith("I"):
        names = {"F": "f", "I": "i"}
        dtype = np.dtype(f"{names[kind.name[0]]}{int(kind.name[1:]) // 8}")
        return np.ndarray(rows.nbytes // dtype.itemsize, dtype, rows)
    return package.quants.dequantize(rows, kind)


def _heads(metadata: dict, name: str) -> int:
    """Heads whose rows GGUF interleaved in this tensor; 0 where it left them alone."""
    heads = int(metadata.get("llama.attention.head_count") or 0)
    if ".attn_q." in name:
        return heads
    if ".attn_k." in name:
        return int(metadata.get("llama.attention.head_count_kv") or heads)
    return 0


def _package():
    return extras.need("gguf", "a GGUF file")
