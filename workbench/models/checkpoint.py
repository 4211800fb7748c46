"""Checkpoints as lazy mappings: tensors are listed from the header and read only when asked for.

The one type behind the shipped weights, safetensors files and folders, GGUF files and arrays in
memory; `workbench.models.opening` makes one from a path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.errors import unknown


@dataclass(frozen=True)
class TensorInfo:
    """What a checkpoint's header says of one tensor; nothing has been read.

    `shape` counts values, `dtype` is the stored type in lower case (`"f32"`, `"bf16"`, `"q4_1"`),
    `nbytes` the bytes it takes in `file`.

    >>> TensorInfo("w", (2, 3), "f32", 24, "model.safetensors").size
    6
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    file: str

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Entry:
    """One tensor of a checkpoint: its description and the function that reads it."""

    info: TensorInfo
    read: Callable[[], np.ndarray]


class Checkpoint(Mapping[str, np.ndarray]):
    """A read-only mapping from tensor name to NumPy array, each read when it is asked for.

    Float tensors come as float32 (float64 stays), exactly widened where they are stored narrower;
    float32 is not copied but a read-only view of the file. Integers and booleans come as stored.
    Iteration, `len`, `infos` and `table` read nothing. An unknown name is a `WorkbenchError`
    naming the nearest ones.

    >>> checkpoint = from_arrays("demo", {"w": np.ones((2, 2), np.float32)})
    >>> checkpoint.infos[0].shape, float(checkpoint["w"].sum())
    ((2, 2), 4.0)
    """

    def __init__(self, path: str | Path, entries: Iterable[Entry]) -> None:
        self.path = Path(path)
        self._entries = {entry.info.name: entry for entry in entries}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._entry(name).read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r}, {len(self)} tensors, {self.nbytes:,} bytes)"

    @property
    def infos(self) -> list[TensorInfo]:
        """Every tensor's description, in the order of the file."""
        return [entry.info for entry in self._entries.values()]

    @property
    def nbytes(self) -> int:
        """Bytes that all tensors take as stored."""
        return sum(info.nbytes for info in self.infos)

    def info(self, name: str) -> TensorInfo:
        """Description of one tensor; an unknown name is a `WorkbenchError`."""
        return self._entry(name).info

    def table(self) -> list[dict]:
        """One row a tensor: name, shape, dtype, values, bytes, file."""
        return [
            {
                "name": info.name,
                "shape": list(info.shape),
                "dtype": info.dtype,
                "values": info.size,
                "bytes": info.nbytes,
                "file": info.file,
            }
            for info in self.infos
        ]

    def _entry(self, name: str) -> Entry:
        if name not in self._entries:
            raise unknown("tensor", name, self._entries)
        return self._entries[name]


def from_arrays(label: str, arrays: Mapping[str, np.ndarray]) -> Checkpoint:
    """A checkpoint over arrays in memory, so that everything else has one kind of source.

    >>> list(from_arrays("demo", {"b": np.zeros(3)}))
    ['b']
    """

    def entry(name: str, array: np.ndarray) -> Entry:
        kind = {"f": "f", "i": "i", "u": "u", "b": "bool", "c": "c"}[array.dtype.kind]
        dtype = kind if kind == "bool" else f"{kind}{array.dtype.itemsize * 8}"
        info = TensorInfo(name, array.shape, dtype, array.nbytes, label)
        return Entry(info, lambda: array)

    return Checkpoint(label, [entry(name, array) for name, array in arrays.items()])
