"""The plain records that views draw: a histogram of values, and a format's grid laid over them.

They are small, made from a sketch in well under a millisecond, and hold no tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from .axis import ValueAxis, axis_for


@dataclass(frozen=True)
class Histogram:
    """How many values lie in each of many narrow bins, ascending and without overlap.

    Args:
        low, high: ends of the non-empty bins, float64 `(bins,)`; exact zeros have low == high.
        counts: values in each bin, int64 or float64 `(bins,)`.
        nan, infinite: how many values were NaN or infinite, and so are in no bin.
        provenance: "exact" or "sketch".

    Example:
        >>> h = Histogram(np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([3, 1]))
        >>> h.below([0.5, 1.5, 9.0])
        array([1.5, 3.5, 4. ])
    """

    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray
    nan: int = 0
    infinite: int = 0
    provenance: str = "sketch"

    @cached_property
    def total(self) -> float:
        """How many finite values there are."""
        return float(self.counts.sum())

    @cached_property
    def largest(self) -> float:
        """A magnitude that no finite value exceeds; 0 where there are none."""
        if not self.counts.size:
            return 0.0
        return float(max(abs(self.low[0]), abs(self.high[-1])))

    @cached_property
    def signed(self) -> bool:
        """Whether there are negative values."""
        return bool(self.counts.size and self.low[0] < 0)

    @cached_property
    def typical(self) -> float:
        """The median magnitude of the values that are not zero, to the width of a bin."""
        size = np.abs(0.5 * (self.low + self.high))
        order = np.argsort(size)
        order = order[size[order] > 0]
        if not order.size:
            return 0.0
        sums = np.cumsum(self.counts[order])
        return float(size[order[np.searchsorted(sums, 0.5 * sums[-1])]])

    @cached_property
    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of all bins and the number of values under each, for interpolation."""
        ends = np.column_stack([self.low, self.high]).ravel()
        sums = np.cumsum(self.counts, dtype=np.float64)
        return ends, np.column_stack([sums - self.counts, sums]).ravel()

    def below(self, limits: Any) -> np.ndarray:
        """How many values lie under each of `limits`, taking each bin as evenly filled.

        A value exactly on a limit is under it only where its bin begins before it.
        """
        limits = np.asarray(limits, np.float64)
        if not self.counts.size:
            return np.zeros(limits.shape)
        ends, sums = self._sums
        after = np.searchsorted(ends, limits, side="left")
        left, right = np.maximum(after - 1, 0), np.minimum(after, ends.size - 1)
        width = ends[right] - ends[left]
        part = np.where(width > 0, (limits - ends[left]) / np.where(width > 0, width, 1), 0)
        return sums[left] + np.clip(part, 0, 1) * (sums[right] - sums[left])

    def between(self, limits: Any) -> np.ndarray:
        """How many values lie between each two neighbours of `limits`."""
        return np.diff(self.below(limits))

    def within(self, selection: tuple[float, float] | None) -> float:
        """How many values lie in the chosen range; all of them for None."""
        return self.total if selection is None else float(np.diff(self.below(selection))[0])

    def axis(self, kind: str = "symlog2") -> ValueAxis:
        """A value axis that shows these values."""
        return axis_for(self.largest, self.typical, kind, self.signed)

    def points(self, each: int = 8) -> tuple[np.ndarray, np.ndarray]:
        """`each` values evenly inside every bin, and how many values each of them stands for."""
        places = (np.arange(each) + 0.5) / each
        values = self.low[:, None] + (self.high - self.low)[:, None] * places
        return values.ravel(), np.repeat(self.counts / each, each)


@dataclass(frozen=True)
class Grid:
    """The finite values of one format where its scale puts them, as one strip of the value grid.

    Args:
        label: canonical text of the scheme.
        family: of the scheme, for its colour: "int", "float", "mx", "nvfp" or "codebook".
        values: ascending float64, scale included.
        codes: the code of each value.
        bits: bits of a code.
        subnormal: which values are subnormal.
        specials: what the codes without a finite value mean, such as "NaN ×2".
        step: function from values to the distance between the neighbours around each.
        scale: what one unit of the format is worth.
        note: in words, where the scale comes from.
        counts: how many values became each of `values`, NaN where it is not known; None to read
            it from a histogram.
    """

    label: str
    family: str
    values: np.ndarray = field(repr=False)
    codes: np.ndarray = field(repr=False)
    bits: int
    subnormal: np.ndarray = field(repr=False)
    specials: tuple[str, ...]
    step: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    limits: np.ndarray = field(repr=False)
    scale: float = 1.0
    note: str = ""
    counts: np.ndarray | None = field(default=None, repr=False)

    @property
    def min(self) -> float:
        """The smallest finite value."""
        return float(self.values[0])

    @property
    def max(self) -> float:
        """The largest finite value."""
        return float(self.values[-1])

    def occupancy(self, histogram: Histogram) -> np.ndarray:
        """How many values round to each of `values`; those beyond the ends go to the ends."""
        if self.counts is not None:
            return self.counts
        edges = np.concatenate([[-np.inf], self.limits, [np.inf]])
        counts = histogram.below(edges[1:-1])
        return np.diff(np.concatenate([[0.0], counts, [histogram.total]]))

    def unused(self, histogram: Histogram) -> int:
        """How many of the values no datum rounds to."""
        return int(np.count_nonzero(self.occupancy(histogram) < 0.5))

    def neighbours(self, value: float) -> tuple[float, float]:
        """The two grid values around `value`; both the end where it lies beyond."""
        at = int(np.searchsorted(self.values, value, side="right"))
        low, high = max(at - 1, 0), min(at, self.values.size - 1)
        if self.values[low] == value:
            high = low
        return float(self.values[low]), float(self.values[high])


def grid_of(
    fmt: Any, scale: float = 1.0, label: str = "", family: str = "", note: str = ""
) -> Grid:
    """The grid of `fmt` with one unit worth `scale`, a positive finite number.

    Example:
        >>> import workbench as wb
        >>> grid = grid_of(wb.format("e2m1"), 0.5)
        >>> grid.values[-3:], grid.specials
        (array([1.5, 2. , 3. ]), ('−0',))
    """
    if not (np.isfinite(scale) and scale > 0):
        raise WorkbenchError(
            f"a scale of {scale}", "a scale is a positive finite number", "write for example 0.5"
        )
    values = fmt.values * scale
    return Grid(
        label=label or str(fmt),
        family=family or family_of(fmt),
        values=values,
        codes=fmt.code_of_value,
        bits=fmt.bits,
        subnormal=_subnormal(fmt),
        specials=_specials(fmt),
        step=lambda x: local_steps(fmt, np.asarray(x) / scale) * scale,
        limits=fmt.middles * scale,
        scale=scale,
        note=note,
    )


def local_steps(fmt: Any, x: np.ndarray) -> np.ndarray:
    """The distance between the two values of a format around each x, its sign included.

    Beyond the ends it is the last step. Formats that are given by a table are searched; for all
    others this is `fmt.precision`.

    Example:
        >>> import workbench as wb
        >>> local_steps(wb.format("nf4"), np.array([-0.99, 0.99])).round(3)
        array([0.304, 0.277])
    """
    if fmt.family not in ("codebook", "posit", "logarithmic"):
        return fmt.precision(x)
    upper = np.clip(np.searchsorted(fmt.values, x, side="right"), 1, fmt.values.size - 1)
    return fmt.values[upper] - fmt.values[upper - 1]


def family_of(fmt: Any) -> str:
    """The family a bare format is drawn as.

    Example:
        >>> import workbench as wb
        >>> family_of(wb.format("q3.4")), family_of(wb.format("e8m0"))
        ('int', 'float')
    """
    kinds = {"integer": "int", "fixed": "int", "float": "float", "exponent": "float"}
    return kinds.get(fmt.family, "codebook")


def _subnormal(fmt: Any) -> np.ndarray:
    """Which values of a float lie under its smallest normal one; none of any other format."""
    if not hasattr(fmt, "least_exponent"):
        return np.zeros(fmt.values.size, bool)
    return (np.abs(fmt.values) < 2.0**fmt.least_exponent) & (fmt.values != 0)


def _specials(fmt: Any) -> tuple[str, ...]:
    """The codes that mean no finite value of their own, counted."""
    codes = fmt.code_values
    nan, infinite = int(np.isnan(codes).sum()), int(np.isinf(codes).sum())
    minus_zero = int((np.signbit(codes) & (codes == 0)).sum())
    found = [
        ("NaN" if fmt.has_nan else "no value", nan),
        ("±∞" if infinite == 2 else "∞", 1 if infinite else 0),
        ("−0", minus_zero),
    ]
    return tuple(name if count == 1 else f"{name} ×{count}" for name, count in found if count)
