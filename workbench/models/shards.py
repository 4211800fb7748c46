"""Safetensors files: header checks, memory maps, exact widening.

The `safetensors` library validates a header; what it says of the offsets is then used to view the
file in place, because its own NumPy reader copies and has no bfloat16. Format: the safetensors
specification (8 bytes of header length, JSON header, one buffer).
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import safetensors

from workbench.errors import WorkbenchError
from workbench.models.checkpoint import Checkpoint, Entry, TensorInfo

HEADER_LIMIT = 100_000_000
PLAIN = {
    "F64": np.float64,
    "F32": np.float32,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
    "C64": np.complex64,
}
TABLED = {"F8_E4M3": "e4m3fn", "F8_E5M2": "e5m2", "F8_E8M0": "e8m0"}
TABLED |= {"F8_E4M3FNUZ": "e4m3fnuz", "F8_E5M2FNUZ": "e5m2fnuz"}


def open_files(label: Path, files: list[Path]) -> Checkpoint:
    """One checkpoint over safetensors files; a tensor name that comes twice is an error."""
    entries: dict[str, Entry] = {}
    buffers: list[np.memmap] = []
    for file in files:
        for entry in _entries(file, buffers):
            name = entry.info.name
            if name in entries:
                where = f"{entries[name].info.file} and {file.name}"
                raise WorkbenchError(
                    str(label), f"tensor {name!r} is in {where}", "keep one copy of each tensor"
                )
            entries[name] = entry
    return Checkpoint(label, entries.values(), lambda: release(buffers))


def release(buffers: list[np.memmap]) -> None:
    """Give the pages of mapped files back to the system; what is looked at again is read again."""
    for buffer in buffers:
        if isinstance(buffer.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            buffer.base.madvise(mmap.MADV_DONTNEED)


def _entries(path: Path, buffers: list[np.memmap]) -> list[Entry]:
    header, start = read_header(path)
    buffer = np.memmap(path, np.uint8, "r")
    buffers.append(buffer)
    return [
        _entry(path, name, record, buffer[start:])
        for name, record in header.items()
        if name != "__metadata__"
    ]


def read_header(path: Path) -> tuple[dict, int]:
    """The JSON header of a safetensors file and the offset of its buffer, validated.

    Checks the length first, so that a truncated or foreign file is told apart from a corrupt one;
    then the library checks types, shapes, offsets and the size of the buffer.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8:
            raise _broken(path, f"it has {size} bytes, a header has at least 8")
        if length > min(HEADER_LIMIT, size - 8):
            room = "the file holds" if length > size - 8 else "is allowed"
            limit = min(HEADER_LIMIT, size - 8)
            raise _broken(path, f"its header claims {length:,} bytes, {room} {limit:,}")
        raw = file.read(length)
    try:
        header = json.loads(raw)
        _check_size(path, header, size - 8 - length)
        with safetensors.safe_open(path, framework="np"):
            pass
    except (ValueError, TypeError, AttributeError, KeyError, safetensors.SafetensorError) as error:
        if isinstance(error, WorkbenchError):
            raise
        raise _broken(path, f"its header is corrupt ({error})") from None
    return header, 8 + length


def _check_size(path: Path, header: dict, buffer: int) -> None:
    ends = [record["data_offsets"][1] for name, record in header.items() if name != "__metadata__"]
    needed = max(ends, default=0)
    if needed > buffer:
        raise _broken(path, f"it is truncated: tensors need {needed:,} bytes, {buffer:,} are there")


def _broken(path: Path, why: str) -> WorkbenchError:
    return WorkbenchError(str(path), why, "fetch the file again or save it anew with safetensors")


def _entry(path: Path, name: str, record: dict, buffer: np.ndarray) -> Entry:
    begin, end = record["data_offsets"]
    dtype, shape = record["dtype"], tuple(record["shape"])
    info = TensorInfo(name, shape, dtype.lower(), end - begin, path.name)
    decode = _decoder(path, dtype)
    row = (end - begin) // shape[0] if shape and shape[0] else 0

    def rows(first: int, last: int) -> np.ndarray:
        part = buffer[begin + first * row : begin + last * row]
        return decode(part).reshape(last - first, *shape[1:])

    return Entry(info, lambda: decode(buffer[begin:end]).reshape(shape), rows)


def _decoder(path: Path, dtype: str) -> Callable[[np.ndarray], np.ndarray]:
    """The function from raw bytes to values of a stored type."""
    if dtype in PLAIN:
        return lambda raw: _view(raw, PLAIN[dtype])
    if dtype == "F16":
        return lambda raw: _view(raw, np.float16).astype(np.float32)
    if dtype == "BF16":
        return lambda raw: widen_bfloat16(_view(raw, np.uint16))
    if dtype in TABLED:
        return lambda raw: _table(TABLED[dtype])[raw]

    def refuse(raw: np.ndarray) -> np.ndarray:
        readable = ", ".join([*PLAIN, "F16", "BF16", *TABLED])
        raise WorkbenchError(f"{path}: dtype {dtype}", "it is not read", f"store one of {readable}")

    return refuse


def _view(raw: np.ndarray, dtype: type) -> np.ndarray:
    """`raw` bytes as `dtype` in place; copied only when they do not start on a whole value."""
    plain = np.ndarray(raw.size // np.dtype(dtype).itemsize, dtype, raw)
    return plain if plain.flags.aligned else plain.copy()


def widen_bfloat16(bits: np.ndarray) -> np.ndarray:
    """bfloat16 bit patterns (uint16) as the float32 values they are; NaN payloads are kept.

    >>> widen_bfloat16(np.array([0x3FC0, 0xFF80], np.uint16)).tolist()
    [1.5, -inf]
    """
    return (bits.astype(np.uint32) << 16).view(np.float32)


@cache
def _table(name: str) -> np.ndarray:
    """float32 values of all 256 codes of an 8-bit format."""
    from workbench import formats

    return np.asarray(formats.parse(name).decode(np.arange(256)), np.float32)
