"""Histograms of float32 patterns in one pass: by prefix, by block and by channel.

The prefix histogram keeps, for each value of the upper 16 bits, how many values have it, the sum of
their lower 16 bits and the sum of those squared: three integers, so that adding two histograms
is exact in any order, and sums of x and of x squared are functions of them.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

import numpy as np

from .cache import jit
from .counters import count_four
from .threads import over_chunks, spans

MOST_SPARE = 8
PIECE = 1 << 23  # values that the packed counters hold before they are emptied
_INFINITY = 0x7F80  # the prefix of infinity; NaN lie above it


@jit
def _prefixes(bits, tables):
    """Add float32 patterns to two tables of (count << 40 | sum of low, sum of low squared)."""
    source, target = bits.ctypes.data, tables.ctypes.data
    whole = bits.size & ~3
    for j in range(0, whole, 4):
        count_four(np.int64(source + 4 * j), np.int64(target))
    for j in range(whole, bits.size):
        pattern = np.int64(bits[j])
        rest = pattern & 0xFFFF
        prefix = (pattern >> 16) & 0xFFFF
        tables[0, prefix, 0] += (np.int64(1) << 40) + rest
        tables[0, prefix, 1] += rest * rest


@jit
def _rest_ends(bits, prefix):
    """The smallest and the largest lower half among the patterns with this upper half."""
    low, high = 0xFFFF, 0
    for j in range(bits.size):
        if (np.int64(bits[j]) >> 16) & 0xFFFF == prefix:
            low = min(low, np.int64(bits[j]) & 0xFFFF)
            high = max(high, np.int64(bits[j]) & 0xFFFF)
    return low, high


@jit
def _empty(tables, counts, sums, squares):
    for t in range(2):
        for p in range(counts.size):
            packed = tables[t, p, 0]
            if packed != 0:
                counts[p] += (packed >> 40) & 0xFFFFFF
                sums[p] += packed & 0xFFFFFFFFFF
                squares[p] += tables[t, p, 1]
                tables[t, p, 0] = 0
                tables[t, p, 1] = 0


@dataclass
class _Table:
    """The packed counters of one thread, and how many values they hold."""

    cells: np.ndarray = field(default_factory=lambda: np.zeros((2, 1 << 16, 2), np.int64))
    used: int = 0


_spare: list[_Table] = []  # emptied tables, kept because fresh memory costs more than counting


class _Totals:
    """The counters handed out to threads, and the sums they are emptied into."""

    def __init__(self):
        self.free: list[_Table] = []
        self.lock = threading.Lock()
        self.sums = [np.zeros(1 << 16, np.int64) for _ in range(3)]

    def add(self, x: np.ndarray) -> None:
        """Count the values of one chunk."""
        try:
            table = self.free.pop()
        except IndexError:
            table = _taken()
        for start, stop in spans(x.size, PIECE):
            if table.used + stop - start > PIECE:
                self.empty(table)
            table.used += stop - start
            _prefixes(patterns(x[start:stop]), table.cells)
        self.free.append(table)

    def empty(self, table: _Table) -> None:
        """Move a table's figures to the sums."""
        with self.lock:
            _empty(table.cells, *self.sums)
        table.used = 0


def _taken() -> _Table:
    """An empty table: a kept one, or a new one."""
    try:
        return _spare.pop()
    except IndexError:
        return _Table()


def patterns(x: np.ndarray) -> np.ndarray:
    """The bits of float32 values, or of float64 values rounded to float32, as int32.

    Example:
        >>> patterns(np.array([1.0])).tolist() == [0x3F800000]
        True
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(np.float32, copy=False).view(np.int32)


def prefix_histogram(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, sum and sum of squares of the lower 16 bits for each upper half of a float32.

    Args:
        x: flat contiguous float32 or float64 (rounded to float32), any values.

    Returns:
        Three int64 arrays of 65536.

    Example:
        >>> counts, sums, squares = prefix_histogram(np.float32([1.0, 1.0, -2.0]))
        >>> int(counts[0x3F80])
        2
    """
    totals = _Totals()
    over_chunks(lambda a, b: totals.add(x[a:b]), x.size)
    for table in totals.free:
        totals.empty(table)
    _spare.extend(totals.free[: MOST_SPARE - len(_spare)])
    counts, sums, squares = totals.sums
    return counts, sums, squares


def extremes(
    x: np.ndarray, counts: np.ndarray, sums: np.ndarray, squares: np.ndarray
) -> tuple[float, float]:
    """The smallest and the largest finite value, read from a prefix histogram of `x`.

    Only where an end's prefix holds three values or more are the values looked at again.

    Returns:
        Two floats, without a negative zero; inf and -inf where nothing is finite.

    Example:
        >>> x = np.float32([1.5, np.inf, -2.0])
        >>> extremes(x, *prefix_histogram(x))
        (-2.0, 1.5)
    """
    positive = np.flatnonzero(counts[:_INFINITY])
    negative = np.flatnonzero(counts[0x8000 : 0x8000 + _INFINITY]) + 0x8000
    if not positive.size + negative.size:
        return np.inf, -np.inf
    low = (negative[-1], True) if negative.size else (positive[0], False)
    high = (positive[-1], True) if positive.size else (negative[0], False)
    figures = counts, sums, squares
    return _end(x, *low, *figures), _end(x, *high, *figures)


def _end(x, prefix, largest, counts, sums, squares) -> float:
    """The float of largest or of smallest magnitude with this prefix."""
    n, total, square = (int(a[prefix]) for a in (counts, sums, squares))
    if n <= 2:  # two numbers are known from their sum and the sum of their squares
        gap = math.isqrt(n * square - total * total) if n == 2 else 0
        rest = (total + (gap if largest else -gap)) // n
    elif n * square == total * total:
        rest = total // n
    else:
        ends = over_chunks(lambda a, b: _rest_ends(patterns(x[a:b]), prefix), x.size)
        rest = max(e[1] for e in ends) if largest else min(e[0] for e in ends)
    return float(np.uint32((int(prefix) << 16) + rest).view(np.float32)) + 0.0
