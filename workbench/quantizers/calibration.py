"""What a layer's real inputs look like: ranges, second moments and a sample, added up as they come.

Counts and ranges add exactly, sums in the order of the updates; the sample is the rows of smallest
pseudo-random priority, so it is the same however the rows were shared out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .._files import replacing
from ..errors import WorkbenchError
from ..kernels import arrays
from ..kernels.threads import one_blas_thread, together

SAMPLE = 4096  # rows kept
CHUNK = 1024  # rows of one float64 product
WIDE = 2048  # channels from which on the products of two halves are taken side by side
_FIELDS = ("low", "high", "sums", "second", "rows", "places", "priority")


@dataclass(frozen=True, eq=False)
class Calibration:
    """Statistics of the rows that a linear layer is given.

    Attributes:
        count: rows seen.
        low, high: float32 (features,), the range of each input channel.
        sums: float64 (features,), the sum of each.
        second: float64 (features, features), the sum of the products of every two channels.
        rows: float32 (sample, features), a random sample of the rows, in the order they came.
        places: int64 (sample,), which rows they are.
        priority: float64 (sample,), what they were drawn by.
        seed, size: of the sample.

    Two calibrations of the same layer add up; `start` tells the second where its rows begin.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
        >>> whole = Calibration.of(x)
        >>> parts = Calibration.of(x[:100]) + Calibration.of(x[100:], start=100)
        >>> parts.count, bool(np.allclose(parts.second, whole.second))
        (300, True)
        >>> bool((parts.rows == whole.rows).all())
        True
    """

    count: int
    low: np.ndarray
    high: np.ndarray
    sums: np.ndarray
    second: np.ndarray
    rows: np.ndarray
    places: np.ndarray
    priority: np.ndarray
    seed: int = 0
    size: int = SAMPLE

    @classmethod
    def of(cls, x: Any, start: int = 0, seed: int = 0, size: int = SAMPLE) -> Calibration:
        """The statistics of rows.

        Args:
            x: array or tensor, (..., features); leading axes are rows. Finite.
            start: the number of the first row among all rows of the layer.
            seed: of the sample.
            size: rows to keep.

        Rows that are not finite, or none, raise `WorkbenchError`.
        """
        rows = np.ascontiguousarray(arrays.to_numpy(x), np.float32)
        rows = rows.reshape(-1, rows.shape[-1]) if rows.ndim > 1 else rows.reshape(1, -1)
        if not rows.size:
            raise WorkbenchError("no rows", "there is nothing to calibrate with", "give more data")
        if not np.isfinite(rows).all():
            bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            why = "an input is not finite"
            raise WorkbenchError(f"row {start + bad}", why, "leave such rows out")
        places = np.arange(start, start + len(rows))
        priority = _priorities(places, seed)
        kept = _drawn(priority, size)
        return cls(
            len(rows), rows.min(0), rows.max(0), rows.sum(0, np.float64), _products(rows),
            rows[kept], places[kept], priority[kept], seed, size,
        )  # fmt: skip

    @classmethod
    def identity(cls, features: int) -> Calibration:
        """The calibration of a layer whose inputs are unknown: independent, of equal size."""
        eye = np.eye(features, dtype=np.float32) * np.float32(features**0.5)
        return cls.of(np.concatenate([eye, -eye]))

    def __add__(self, other: Calibration) -> Calibration:
        return Running(self).add(other).done()

    @property
    def features(self) -> int:
        """How many input channels there are."""
        return self.low.size

    def must_match(self, name: str, features: int) -> None:
        """Refuse a layer with another number of input channels."""
        if self.features != features:
            raise WorkbenchError(
                f"a calibration of {self.features} channels for {name}",
                f"its inputs have {features}", "calibrate this layer: Calibration.of(its inputs)",
            )  # fmt: skip

    @property
    def reach(self) -> np.ndarray:
        """The largest magnitude of each channel, float32 (features,)."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def mean(self) -> np.ndarray:
        """The mean of each channel, float64 (features,)."""
        return self.sums / self.count

    @property
    def gram(self) -> np.ndarray:
        """The mean product of every two channels, float64 (features, features)."""
        return self.second / self.count

    @property
    def shortage(self) -> str:
        """Why there may be too few rows for a solver that reads products; empty where enough."""
        if self.count >= self.features:
            return ""
        return f"{self.count} calibration rows for {self.features} features: products are singular"

    def mapped(self, rows: np.ndarray, matrix: np.ndarray, shift: np.ndarray) -> Calibration:
        """The statistics of (x - shift) @ matrix, given the sample so mapped.

        Products are exact. Ranges are those of the sample unless each channel only moves and grows
        by itself; then they are exact too.

        Args:
            rows: float32, the mapped sample.
            matrix: float64 (features, features), or (features,) for its diagonal.
            shift: float64 (features,).
        """
        cross = np.outer(self.sums, shift)
        centred = self.second - cross - cross.T + self.count * np.outer(shift, shift)
        sums = self.sums - self.count * shift
        if matrix.ndim == 1:
            ends = ((np.stack([self.low, self.high]) - shift) * matrix).astype(np.float32)
            low, high = ends.min(0), ends.max(0)
            sums, second = sums * matrix, centred * np.outer(matrix, matrix)
        else:
            low, high = rows.min(0), rows.max(0)
            sums, second = sums @ matrix, matrix.T @ centred @ matrix
        return replace(self, low=low, high=high, sums=sums, second=second, rows=rows)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file, whole or not at all."""
        save({"": self}, path)

    @staticmethod
    def load(path: str | Path) -> Calibration:
        """Read what `save` wrote; any other file is a `WorkbenchError`."""
        return load(path)[""]


class Running:
    """A calibration that others are added to in place, as windows of a text come in.

    Args:
        first: what it starts from, left as it is.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
        >>> running = Running(Calibration.of(x[:100]))
        >>> running.add(Calibration.of(x[100:], start=100)).done().count
        300
    """

    def __init__(self, first: Calibration):
        self.about, self.count = first, first.count
        self.low, self.high = first.low.copy(), first.high.copy()
        self.sums, self.second = first.sums.copy(), first.second.copy()
        self.kept = len(first.rows)
        self.rows = np.empty((first.size, first.features), np.float32)
        self.places, self.priority = np.empty(first.size, np.int64), np.empty(first.size)
        self._put(np.arange(self.kept), first, np.arange(self.kept))

    def add(self, other: Calibration) -> Running:
        """Add one of the same layer, seed and sample size, or raise `WorkbenchError`."""
        mine = self.about
        if mine.features != other.features or (mine.seed, mine.size) != (other.seed, other.size):
            raise WorkbenchError(
                f"calibrations of {mine.features} and {other.features} features",
                "only those of one layer, with one seed and sample size, add up",
                "calibrate the layers apart",
            )
        self.count += other.count
        np.minimum(self.low, other.low, out=self.low)
        np.maximum(self.high, other.high, out=self.high)
        self.sums += other.sums
        self.second += other.second
        drawn = _drawn(np.concatenate([self.priority[: self.kept], other.priority]), mine.size)
        entering = drawn[drawn >= self.kept] - self.kept
        staying = drawn[drawn < self.kept]
        free = np.setdiff1d(np.arange(len(drawn)), staying, assume_unique=True)
        self._put(free, other, entering)
        self.kept = len(drawn)
        return self

    def _put(self, at: np.ndarray, other: Calibration, which: np.ndarray) -> None:
        """Copy some rows of another sample to places of this one."""
        for mine, theirs in ((self.rows, other.rows), (self.places, other.places),
                             (self.priority, other.priority)):  # fmt: skip
            mine[at] = theirs[which]

    def done(self) -> Calibration:
        """What has been added up by now; its sample in the order the rows came."""
        order = np.argsort(self.places[: self.kept], kind="stable")
        return replace(
            self.about, count=self.count, low=self.low.copy(), high=self.high.copy(),
            sums=self.sums.copy(), second=self.second.copy(), rows=self.rows[order],
            places=self.places[order], priority=self.priority[order],
        )  # fmt: skip


def save(calibrations: Mapping[str, Calibration], path: str | Path) -> None:
    """Write the calibrations of several layers to one safetensors file, whole or not at all.

    Layers that share one object share its bytes.
    """
    from safetensors.numpy import save_file

    each = list({id(one): one for one in calibrations.values()}.values())
    numbers = {id(one): str(number) for number, one in enumerate(each)}
    distinct = {numbers[id(one)]: one for one in each}
    parts = {
        f"{number}.{name}": np.ascontiguousarray(getattr(one, name))
        for number, one in distinct.items()
        for name in _FIELDS
    }
    about = {
        "layers": [[name, numbers[id(one)]] for name, one in calibrations.items()],
        "counts": {number: [one.count, one.seed, one.size] for number, one in distinct.items()},
    }
    with replacing(path) as spare:
        save_file(parts, spare, {"calibrations": json.dumps(about)})


def load(path: str | os.PathLike) -> dict[str, Calibration]:
    """Read calibrations that `save` wrote; any other file is a `WorkbenchError`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            about = json.loads((file.metadata() or {})["calibrations"])
            read = {
                number: Calibration(
                    count=count,
                    seed=seed,
                    size=size,
                    **{name: file.get_tensor(f"{number}.{name}") for name in _FIELDS},
                )
                for number, (count, seed, size) in about["counts"].items()
            }
        return {name: read[number] for name, number in about["layers"]}
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        why = f"it holds no calibration ({error})"
        raise WorkbenchError(str(path), why, "pass a file that save(path) wrote") from error


def _products(rows: np.ndarray) -> np.ndarray:
    """The sum of every two columns' products, float64, in chunks of a fixed length."""
    count = rows.shape[1]
    half = count // 2 if count >= WIDE else count
    total = np.zeros((count, count), order="F")
    with one_blas_thread():
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK].T.astype(np.float64, order="C")
            together(partial(_squares, part, total, half), partial(_crosses, part, total, half))
    return _mirrored(total)


def _squares(part: np.ndarray, total: np.ndarray, half: int) -> None:
    """Products within the first channels, and within the others, above the diagonal."""
    from scipy.linalg.blas import dsyrk

    for at in (slice(0, half), slice(half, len(part))):
        if at.start < at.stop:
            total[at, at] = dsyrk(1.0, part[at].T, 1.0, total[at, at], trans=1)


def _crosses(part: np.ndarray, total: np.ndarray, half: int) -> None:
    """Products of the first channels with the others."""
    if half < len(part):
        total[:half, half:] += part[:half] @ part[half:].T


def _mirrored(upper: np.ndarray) -> np.ndarray:
    """A symmetric matrix from what lies on and above its diagonal, in place."""
    for start in range(0, len(upper), CHUNK):
        at, below = slice(start, start + CHUNK), slice(start + CHUNK, None)
        corner = upper[at, at]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
        upper[below, at] = upper[at, below].T
    return upper


def _priorities(places: np.ndarray, seed: int) -> np.ndarray:
    """A pseudo-random number in [0, 1) for each row number, by a 64-bit mix of its bits."""
    mixed = places.astype(np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
    for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(factor)
    return (mixed ^ (mixed >> np.uint64(31))).astype(np.float64) / 2.0**64


def _drawn(priority: np.ndarray, size: int) -> np.ndarray:
    """The places of the `size` smallest priorities, ascending."""
    if priority.size <= size:
        return np.arange(priority.size)
    return np.sort(np.argpartition(priority, size)[:size])
