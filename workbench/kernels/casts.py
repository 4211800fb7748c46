"""Element-wise rounding of whole arrays, in three kinds: floats, grids and tables.

A rounder holds what the kernels need of a format, as scalars and small arrays, so that no format
is ever compiled in. float32 to nearest-even takes the fast paths; every other mode and float64 go
through exact float64 arithmetic. The random number of a value depends on its position and the seed
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .cache import as_int32, jit
from .lane_steps import ENTRIES, nearest_lanes, search_tree, tree_lanes
from .lanes import LANES, load, store
from .parameters import any_float, fast_float, words_of
from .steps import (
    INFINITE,
    INVALID,
    NEAREST_EVEN,
    NO_FAST_PATH,
    SATURATE,
    STOCHASTIC,
    AnyFloat,
    FastFloat,
    Grid,
    any_mode,
    cut,
    drawn_fraction,
    in_table,
    least_fractions,
    on_grid,
    random_bits,
    saturated,
    stochastic32,
    to_infinity,
    to_nan,
)
from .threads import over_chunks


@jit
def _fast32(x, out, words):
    p = fast_float(words, 0)
    if p.kind == SATURATE:
        for i in range(x.size):
            out[i] = saturated(x[i], p)
    elif p.kind == INFINITE:
        for i in range(x.size):
            out[i] = to_infinity(x[i], p)
    elif p.kind == INVALID:
        for i in range(x.size):
            out[i] = to_nan(x[i], p)
    else:
        for i in range(x.size):
            out[i] = cut(x[i], p)


@jit
def _fast32_in_place(x, words):
    p = fast_float(words, 0)
    if p.kind == SATURATE:
        for i in range(x.size):
            x[i] = saturated(x[i], p)
    elif p.kind == INFINITE:
        for i in range(x.size):
            x[i] = to_infinity(x[i], p)
    elif p.kind == INVALID:
        for i in range(x.size):
            x[i] = to_nan(x[i], p)
    else:
        for i in range(x.size):
            x[i] = cut(x[i], p)


@jit
def _stochastic32(x, out, start, key, key2, words):
    p = fast_float(words, 0)
    for i in range(x.size):
        bits = random_bits(np.uint32(np.uint32(start) + np.uint32(i)), key, key2)
        out[i] = stochastic32(x[i], bits, p)


@jit
def uniform_at(start, i, mode, key, key2):
    """The random number in [0, 1) of the value at `start + i`; 0 where the mode draws none."""
    if mode < STOCHASTIC:
        return 0.0
    position = np.uint64(start) + np.uint64(i)
    high = np.uint32(position >> np.uint64(32)) * np.uint32(0x9E3779B9)
    bits = random_bits(np.uint32(position), np.uint32(key ^ high), key2)
    return np.float64(bits >> np.uint32(8)) * 2.0**-24


@jit
def _any_float(x, out, mode, start, key, key2, numbers):
    p = any_float(numbers)
    if mode < STOCHASTIC:
        limits = least_fractions(mode)
        for i in range(x.size):
            out[i] = any_mode(np.float64(x[i]), limits, mode, p)
    else:
        for i in range(x.size):
            limit = drawn_fraction(mode, uniform_at(start, i, mode, key, key2))
            out[i] = any_mode(np.float64(x[i]), (limit, limit, limit, limit), mode, p)


@jit
def grid_nearest32(x, low, high):
    """The integer nearest to a float32, ties to even, clamped; NaN stays, -0 becomes 0."""
    y = low if x < low else x
    y = high if high < y else y
    return np.float32(np.rint(y) + np.float32(0))


@jit
def _grid32(x, out, step, inverse, low, high):
    for i in range(x.size):
        out[i] = grid_nearest32(np.float32(x[i] * inverse), low, high) * step


@jit
def _any_grid(x, out, mode, start, key, key2, numbers):
    p = Grid(numbers[0], numbers[1], numbers[2])
    if mode < STOCHASTIC:
        limits = least_fractions(mode)
        for i in range(x.size):
            out[i] = on_grid(np.float64(x[i]), limits, p)
    else:
        for i in range(x.size):
            limit = drawn_fraction(mode, uniform_at(start, i, mode, key, key2))
            out[i] = on_grid(np.float64(x[i]), (limit, limit, limit, limit), p)


@jit
def nearest_short(x, thresholds, values):
    """The value of a table of 16 that a float32 is rounded to."""
    index = 0
    while index < thresholds.size and x > thresholds[index]:
        index += 1
    return x if x != x else values[index]


@jit
def _short32(x, out, tree, thresholds, values):
    whole = x.size & -LANES
    levels = tree_lanes(tree)
    for i in range(0, whole, LANES):
        store(out, i, nearest_lanes(load(x, i), levels, thresholds, values))
    for i in range(whole, x.size):
        out[i] = nearest_short(x[i], thresholds, values)


@jit
def lookup32(x, thresholds, first, values):
    """The table value of a float32 from the first candidate of its top 16 bits, then upwards."""
    index = np.int64(first[(as_int32(x) >> 16) & 0xFFFF])
    while index < thresholds.size and x > thresholds[index]:
        index += 1
    return x if x != x else values[index]


@jit
def _lookup32(x, out, thresholds, first, values):
    for i in range(x.size):
        out[i] = lookup32(x[i], thresholds, first, values)


@jit
def _any_table(x, out, mode, start, key, key2, values, middles, odd):
    last = values.size - 1
    for i in range(x.size):
        v = np.float64(x[i])
        u = uniform_at(start, i, mode, key, key2)
        out[i] = v if v != v else values[in_table(v, mode, u, values, middles, odd, 0, last)]


def keys_of(seed: int) -> tuple[np.uint32, np.uint32]:
    """Two 32-bit keys for `random_bits`, well mixed from any integer seed.

    Example:
        >>> keys_of(0) != keys_of(1)
        True
    """
    words = np.random.SeedSequence(int(seed) & (2**64 - 1)).generate_state(2, np.uint32)
    return np.uint32(words[0]), np.uint32(words[1])


class Rounder:
    """Rounds flat contiguous float32 or float64 arrays; `round` is the one entry point."""

    def round(self, x: np.ndarray, out: np.ndarray, mode: int, seed: int = 0) -> None:
        """Write the rounded `x` to `out` (which may be `x`), both 1-D, contiguous, of one dtype."""
        if mode == NEAREST_EVEN and x.dtype == np.float32 and self.has_fast_path:
            over_chunks(lambda a, b: self._fast(x[a:b], out[a:b], x is out), x.size)
            return
        keys = keys_of(seed)
        over_chunks(lambda a, b: self._any(x[a:b], out[a:b], mode, a, *keys), x.size)

    @cached_property
    def words(self) -> np.ndarray:
        """The fast parameters as the kernels take them."""
        return words_of(self.fast)

    @cached_property
    def numbers(self) -> np.ndarray:
        """The general parameters as the kernels take them."""
        return np.array(self.any, np.float64)

    @property
    def has_fast_path(self) -> bool:
        """Whether float32 to nearest-even has a path at copy speed."""
        return True

    def _fast(self, x, out, in_place):
        raise NotImplementedError

    def _any(self, x, out, mode, start, key, key2):
        raise NotImplementedError


@dataclass(frozen=True)
class FloatRounder(Rounder):
    """Rounds to a float format, given as its fast and its general parameters."""

    fast: FastFloat
    any: AnyFloat

    @cached_property
    def words(self) -> np.ndarray:
        """The fast parameters as the kernels take them."""
        return words_of(self.fast)

    @cached_property
    def numbers(self) -> np.ndarray:
        """The general parameters as the kernels take them."""
        return np.array(self.any, np.float64)

    @property
    def has_fast_path(self) -> bool:
        """Whether float32 to nearest-even has a path at copy speed."""
        return self.fast.kind != NO_FAST_PATH

    def _fast(self, x, out, in_place):
        if in_place:
            _fast32_in_place(x, self.words)
        else:
            _fast32(x, out, self.words)

    def _any(self, x, out, mode, start, key, key2):
        saturates = self.fast.kind == SATURATE and x.dtype == np.float32
        if mode == STOCHASTIC and saturates and start + x.size <= 2**32:
            _stochastic32(x, out, start, key, key2, self.words)
        else:
            _any_float(x, out, mode, start, key, key2, self.numbers)


@dataclass(frozen=True)
class GridRounder(Rounder):
    """Rounds to an integer or fixed-point grid."""

    grid: Grid

    @cached_property
    def numbers(self) -> np.ndarray:
        """The grid as the kernels take it."""
        return np.array(self.grid, np.float64)

    def _fast(self, x, out, in_place):
        p = self.grid
        numbers = (np.float32(v) for v in (p.step, 1 / p.step, p.low, p.high))
        _grid32(x, out, *numbers)

    def _any(self, x, out, mode, start, key, key2):
        _any_grid(x, out, mode, start, key, key2, self.numbers)


@dataclass(frozen=True, eq=False)
class TableRounder(Rounder):
    """Rounds to sorted values; `thresholds` are the last float32 values that stay below each.

    Nearest rounding turns at `middles`, which need not lie half-way.
    Up to 16 values, `thresholds` and `values32` are padded to 15 and 16 and lie in a search `tree`;
    above, `first` gives for the top 16 bits of a float32 the first candidate. With `limits`, what
    does not lie between them is NaN.
    """

    values: np.ndarray
    middles: np.ndarray
    odd: np.ndarray
    thresholds: np.ndarray
    values32: np.ndarray
    first: np.ndarray | None
    tree: np.ndarray | None
    limits: tuple[float, float] | None = None

    def round(self, x: np.ndarray, out: np.ndarray, mode: int, seed: int = 0) -> None:
        """Write the rounded `x` to `out`; NaN where it reaches one of the `limits`."""
        if self.limits is None:
            super().round(x, out, mode, seed)
            return
        outside = (x <= self.limits[0]) | (x >= self.limits[1])
        super().round(x, out, mode, seed)
        out[outside] = np.nan

    def _fast(self, x, out, in_place):
        if self.first is None:
            _short32(x, out, self.tree, self.thresholds, self.values32)
        else:
            _lookup32(x, out, self.thresholds, self.first, self.values32)

    def _any(self, x, out, mode, start, key, key2):
        _any_table(x, out, mode, start, key, key2, self.values, self.middles, self.odd)


def _thresholds32(values: np.ndarray, middle: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """The largest float32 that is still rounded down, between each pair of neighbours."""
    below = middle.astype(np.float32)
    step_down = below.astype(np.float64) > middle
    outward = np.abs(values[1:]) > np.abs(values[:-1])
    tie_up = np.where(odd[1:] == odd[:-1], ~outward, odd[:-1] == 1)
    tie_up = (tie_up | (middle == values[1:])) & (middle != values[:-1])  # a value stays itself
    step_down |= tie_up & (below.astype(np.float64) == middle)
    return np.where(step_down, np.nextafter(below, np.float32(-np.inf)), below)


def _first_candidates(thresholds: np.ndarray) -> np.ndarray:
    """For every top half of a float32 pattern, how many thresholds lie below all its values."""
    tops = np.arange(1 << 16, dtype=np.uint32) << 16
    smallest = np.where(tops >> 31 == 1, tops | 0xFFFF, tops).view(np.float32)
    smallest = np.where(np.isnan(smallest), np.float32(-np.inf), smallest)  # with -inf are NaN
    return np.searchsorted(thresholds, smallest).astype(np.int32)


def table_rounder(
    values: np.ndarray,
    odd: np.ndarray,
    limits: tuple[float, float] | None = None,
    middles: np.ndarray | None = None,
) -> TableRounder:
    """The rounder for sorted float64 `values` whose codes have the parities `odd`.

    Nearest rounding turns at `middles`, half-way between neighbours where none are given. Values
    that reach one of the `limits` become NaN.

    Example:
        >>> rounder = table_rounder(np.array([-1.0, 0.0, 1.0]), np.array([0, 1, 0]))
        >>> y = np.empty(2, np.float32)
        >>> rounder.round(np.array([0.4, 0.6], np.float32), y, 0); y
        array([0., 1.], dtype=float32)
    """
    values = np.ascontiguousarray(values, np.float64)
    odd = np.ascontiguousarray(odd, np.int64)
    middles = 0.5 * values[:-1] + 0.5 * values[1:] if middles is None else middles
    thresholds, values32 = _thresholds32(values, middles, odd), values.astype(np.float32)
    if values.size > ENTRIES:
        first = _first_candidates(thresholds)
        return TableRounder(values, middles, odd, thresholds, values32, first, None, limits)
    padding = ENTRIES - values.size
    thresholds = np.pad(thresholds, (0, padding), constant_values=np.inf)
    values32 = np.pad(values32, (0, padding), mode="edge")
    tree = search_tree(thresholds, values32)
    return TableRounder(values, middles, odd, thresholds, values32, None, tree, limits)
