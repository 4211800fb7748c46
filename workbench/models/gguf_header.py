"""The header of a GGUF file: metadata and tensor records, without reading a tensor.

The `gguf` package's own reader makes an array of every vocabulary entry and takes seconds; this
one steps over them. Format: the GGUF specification, versions 2 and 3, little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, BinaryIO

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
SCALARS |= {12: "d"}
STRING, ARRAY = 8, 9
LONGEST = 1 << 24


@dataclass(frozen=True)
class Record:
    """One tensor of a GGUF header: shape slowest axis first, type number, offset in the file."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True)
class Header:
    """Metadata and tensor records of a GGUF file; an array that nobody asked for is None."""

    metadata: dict
    records: list[Record]


class Cursor:
    """Reads little-endian values from a file; running out of bytes is a `ValueError`."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > LONGEST:
            raise ValueError(f"a field of {count:,} bytes")
        data = self.file.read(count)
        if len(data) < count:
            raise ValueError("the header ends early")
        return data

    def number(self, code: str) -> int | float | bool:
        """The next scalar of a `struct` code."""
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def count(self) -> int:
        """The next unsigned 64-bit integer."""
        return int(self.number("Q"))

    def text(self) -> str:
        """The next string."""
        return self.take(self.count()).decode("utf-8", "replace")

    def value(self, kind: int, arrays: bool = False) -> Any:
        """The next value of a metadata type; an array is read if asked for, else gives None."""
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            member, count = int(self.number("I")), self.count()
            if arrays:
                return self.array(member, count)
            self.skip(member, count)
            return None
        if kind not in SCALARS:
            raise ValueError(f"metadata type {kind}")
        return self.number(SCALARS[kind])

    def array(self, kind: int, count: int) -> list:
        """The next `count` values of one type."""
        if count > LONGEST:
            raise ValueError(f"an array of {count:,} values")
        if kind not in SCALARS:
            return [self.value(kind) for _ in range(count)]
        code = f"<{count}{SCALARS[kind]}"
        return list(struct.unpack(code, self.take(struct.calcsize(code))))

    def skip(self, kind: int, count: int) -> None:
        """Step over an array."""
        if kind in SCALARS:
            self.file.seek(count * struct.calcsize("<" + SCALARS[kind]), 1)
            return
        for _ in range(count):
            self.value(kind)


def read_header(file: BinaryIO, arrays: Container[str] = ()) -> Header:
    """Header of an open GGUF file; anything that is not one is a `ValueError`.

    `arrays` are the metadata keys whose arrays are read, such as the vocabulary's.

    >>> import io
    >>> read_header(io.BytesIO(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))).records
    []
    """
    cursor = Cursor(file)
    magic, version = cursor.take(4), cursor.number("I")
    if magic != b"GGUF" or version not in (2, 3):
        raise ValueError(f"not GGUF version 2 or 3 but {magic!r} version {version}")
    tensors, pairs = cursor.count(), cursor.count()
    metadata: dict[str, Any] = {}
    for _ in range(pairs):
        key = cursor.text()
        metadata[key] = cursor.value(int(cursor.number("I")), key in arrays)
    records = [_record(cursor) for _ in range(tensors)]
    alignment = int(metadata.get("general.alignment") or 32)
    start = -(-file.tell() // alignment) * alignment
    return Header(metadata, [Record(r.name, r.shape, r.kind, start + r.offset) for r in records])


def _record(cursor: Cursor) -> Record:
    name = cursor.text()
    axes = int(cursor.number("I"))
    if axes > 8:
        raise ValueError(f"tensor {name!r} has {axes} axes")
    shape = tuple(cursor.count() for _ in range(axes))[::-1]
    return Record(name, shape, int(cursor.number("I")), cursor.count())
