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
    `nbytes` the bytes it takes in `file`, `aliases` the other names of the same weight.

    >>> TensorInfo("w", (2, 3), "f32", 24, "model.safetensors").size
    6
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    file: str
    aliases: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Entry:
    """One tensor of a checkpoint: its description and the functions that read it.

    `rows(start, stop)` reads a part along the first axis, where that is cheaper than all of it.
    """

    info: TensorInfo
    read: Callable[[], np.ndarray]
    rows: Callable[[int, int], np.ndarray] | None = None


class Checkpoint(Mapping[str, np.ndarray]):
    """A read-only mapping from tensor name to NumPy array, each read when it is asked for.

    Float tensors come as float32 (float64 stays), exactly widened where they are stored narrower;
    float32 is not copied but a read-only view of the file. Integers and booleans come as stored.
    Iteration, `len`, `infos` and `table` read nothing. An unknown name is a `WorkbenchError`
    naming the nearest ones. A weight that is shared under several names is listed once, and read
    under each of them.

    Args:
        path: what it was opened from.
        entries: its tensors.
        release: gives memory back that reading has mapped; called as `slices` goes on.

    >>> checkpoint = from_arrays("demo", {"w": np.ones((2, 2), np.float32)})
    >>> checkpoint.infos[0].shape, float(checkpoint["w"].sum())
    ((2, 2), 4.0)
    """

    def __init__(
        self,
        path: str | Path,
        entries: Iterable[Entry],
        release: Callable[[], object] | None = None,
    ) -> None:
        self.path = Path(path)
        self._entries = {entry.info.name: entry for entry in entries}
        self._release = release or (lambda: None)
        self._names = {
            alias: name for name, entry in self._entries.items() for alias in entry.info.aliases
        }

    def __getitem__(self, name: str) -> np.ndarray:
        return self._entry(name).read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._names

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

    @property
    def weight_types(self) -> str:
        """The stored types of matrices, those of integers left out, in words: `"q4_1, q8_0"`."""
        whole = ("i64", "i32", "bool")
        found = {info.dtype for info in self.infos if len(info.shape) > 1}
        return ", ".join(sorted(found - set(whole))) or "no weights"

    def info(self, name: str) -> TensorInfo:
        """Description of one tensor; an unknown name is a `WorkbenchError`."""
        return self._entry(name).info

    def slices(self, name: str, most: int = 1 << 22) -> Iterator[np.ndarray]:
        """A tensor in parts along its first axis, each of at most `most` values (or one row).

        What has been read is given back to the system part by part, so that a walk over a
        checkpoint larger than memory stays small. A tensor without values gives no part.

        >>> checkpoint = from_arrays("demo", {"w": np.ones((5, 4), np.float32)})
        >>> [part.shape for part in checkpoint.slices("w", most=8)]
        [(2, 4), (2, 4), (1, 4)]
        """
        entry = self._entry(name)
        shape = entry.info.shape
        if not entry.info.size:
            return
        count = shape[0] if shape else 1
        step = max(1, most // (entry.info.size // count))
        if step >= count:
            yield entry.read()
            self._release()
            return
        rows = entry.rows or _rows_of(entry.read())
        for start in range(0, count, step):
            yield rows(start, min(count, start + step))
            self._release()

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
        name = self._names.get(name, name)
        if name not in self._entries:
            raise unknown("tensor", name, self._entries)
        return self._entries[name]


def _rows_of(array: np.ndarray) -> Callable[[int, int], np.ndarray]:
    return lambda start, stop: array[start:stop]


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
