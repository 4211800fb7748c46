"""The prefix sketch: one bin for each upper half of a float32, with three exact integers.

Count, sum and sum of squares of the lower 16 bits give the sum of x and of x^2 of a bin exactly, so
adding two sketches is adding integers: exact, and the same in any order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..kernels.histograms import extremes, patterns, prefix_histogram
from .cells import Cells

_INFINITY = 0x7F80
FIGURES = ("counts", "sums", "squares")


@dataclass(frozen=True, eq=False)
class PrefixSketch:
    """The values of a tensor by the upper half of their float32 pattern.

    Args:
        prefixes: the non-empty upper halves, ascending uint16; NaN and infinities are not among
            them.
        counts, sums, squares: int64 for each: how many values, the sum of their lower 16 bits, and
            the sum of the squares of those.
        low, high: the smallest and largest finite value; inf and -inf where there is none.
        n_zero, n_nan, n_pos_inf, n_neg_inf: exact counts.
        rounded: whether some values were float64 and rounded to float32 first.
    """

    prefixes: np.ndarray = field(repr=False)
    counts: np.ndarray = field(repr=False)
    sums: np.ndarray = field(repr=False)
    squares: np.ndarray = field(repr=False)
    low: float
    high: float
    n_zero: int = 0
    n_nan: int = 0
    n_pos_inf: int = 0
    n_neg_inf: int = 0
    rounded: bool = False

    @staticmethod
    def of(x: np.ndarray) -> PrefixSketch:
        """The sketch of a float32 or float64 array of any shape."""
        flat = np.ascontiguousarray(x).reshape(-1)
        figures = prefix_histogram(flat)
        low, high = extremes(flat, *figures)
        counts = figures[0]
        special = _special_counts(flat, *figures)
        zeros = _zeros(flat, *figures)
        counts[_INFINITY:0x8000] = counts[0x8000 + _INFINITY :] = 0
        used = np.flatnonzero(counts)
        counts, sums, squares = (a[used] for a in figures)
        return PrefixSketch(
            used.astype(np.uint16),
            counts,
            sums,
            squares,
            low,
            high,
            zeros,
            *special,
            rounded=x.dtype == np.float64,
        )

    def __add__(self, other: PrefixSketch) -> PrefixSketch:
        used = np.union1d(self.prefixes, other.prefixes)
        counts, sums, squares = (self._added(other, name, used) for name in FIGURES)
        names = ("n_zero", "n_nan", "n_pos_inf", "n_neg_inf")
        counted = {name: getattr(self, name) + getattr(other, name) for name in names}
        low, high = min(self.low, other.low), max(self.high, other.high)
        rounded = self.rounded or other.rounded
        return PrefixSketch(used, counts, sums, squares, low, high, rounded=rounded, **counted)

    def _added(self, other: PrefixSketch, name: str, used: np.ndarray) -> np.ndarray:
        """One figure of both sketches, bin by bin."""
        total = np.zeros(used.size, np.int64)
        for part in (self, other):
            total[np.searchsorted(used, part.prefixes)] += getattr(part, name)
        return total

    @cached_property
    def n(self) -> int:
        """How many finite values there are."""
        return int(self.counts.sum())

    @property
    def amax(self) -> float:
        """The largest finite magnitude; 0 where there is none."""
        return max(abs(self.low), abs(self.high)) if self.n else 0.0

    @cached_property
    def cells(self) -> Cells:
        """The bins as cells of magnitudes, with count, weight and moments about the lower edge."""
        magnitude = (self.prefixes & 0x7FFF).astype(np.uint32) << np.uint32(16)
        exponent = np.maximum(magnitude >> np.uint32(23), 1).astype(np.int64) - 150
        unit = np.ldexp(1.0, exponent)
        low = magnitude.view(np.float32).astype(np.float64)
        count = self.counts.astype(np.float64)
        moments = np.column_stack([count, unit * self.sums, unit * unit * self.squares])
        side = (self.prefixes >> 15).astype(np.int64)
        return Cells(low, 65536 * unit, side, moments, count)

    @cached_property
    def energy(self) -> float:
        """The sum of the squares of all finite values."""
        return self.cells.energy

    @cached_property
    def unit(self) -> dict[str, float]:
        """What the ranges `absmean` and `std` make one unit; 0 where there is no finite value."""
        cells = self.cells
        magnitudes = cells.low * cells.moments[:, 0] + cells.moments[:, 1]
        absmean = magnitudes.sum() / max(self.n, 1)
        mean = (magnitudes * (1 - 2 * cells.side)).sum() / max(self.n, 1)
        variance = max(self.energy / max(self.n, 1) - mean**2, 0.0)
        return {"absmean": float(absmean), "std": math.sqrt(variance)}

    @cached_property
    def bins(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lower ends, upper ends and counts of the non-empty bins, ascending by value.

        A bin of nothing but zeros has equal ends; the outermost ones end at the extremes.
        """
        magnitude, width = self.cells.low, self.cells.width
        narrow = (magnitude == 0) & (self.squares == 0)
        top = magnitude + np.where(narrow, 0, width)
        negative = self.cells.side == 1
        low = np.where(negative, -top, magnitude) + 0.0
        high = np.where(negative, -magnitude, top) + 0.0
        order = np.lexsort((high, low))
        low, high = (np.clip(a[order], self.low, self.high) for a in (low, high))
        return low, high, self.counts[order]

    def quantile(self, share: float) -> tuple[float, float, float]:
        """The `share` quantile of the magnitudes: an estimate, and two ends between which it is.

        Order statistics are joined linearly, as `np.quantile` does.
        """
        if not self.n:
            return 0.0, 0.0, 0.0
        order = np.argsort(self.cells.low, kind="stable")
        sums = np.cumsum(self.counts[order])
        place = share * (self.n - 1)
        first, last = np.searchsorted(sums, np.array([np.floor(place), np.ceil(place)]), "right")
        low, width = self.cells.low[order], self.cells.width[order]
        inside = (place - (sums[first] - self.counts[order][first]) + 0.5) / self.counts[order][
            first
        ]
        usual = low[first] + width[first] * min(inside, 1.0)
        ends = low[first], min(low[last] + width[last], self.amax)
        return float(np.clip(usual, *ends)), float(ends[0]), float(ends[1])


def _special_counts(x: np.ndarray, counts, sums, squares) -> tuple[int, int, int]:
    """How many NaN, +inf and -inf there are; NaN may share the prefix of infinity."""
    total, infinite = 0, []
    for base in (0, 0x8000):
        total += int(counts[base + _INFINITY : base + 0x8000].sum())
        prefix, count = base + _INFINITY, int(counts[base + _INFINITY])
        if squares[prefix]:
            count = int(np.count_nonzero(patterns(x) == _signed(prefix << 16)))
        infinite.append(count)
    return total - sum(infinite), infinite[0], infinite[1]


def _signed(pattern: int) -> np.int32:
    return np.uint32(pattern).view(np.int32)


def _zeros(x: np.ndarray, counts, sums, squares) -> int:
    """How many zeros of either sign there are; the smallest subnormals share their prefix."""
    zeros = 0
    for prefix in (0, 0x8000):
        count = int(counts[prefix])
        if squares[prefix]:
            count = int(np.count_nonzero(patterns(x) == _signed(prefix << 16)))
        zeros += count
    return zeros
