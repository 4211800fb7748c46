"""Histograms of float32 patterns in one pass: by prefix, by block and by channel.

The prefix histogram keeps, for each value of the upper 16 bits, how many values have it, the sum of
their lower 16 bits and the sum of those squared: three integers, so that adding two histograms
is exact in any order, and sums of x and of x squared are functions of them.
"""

from __future__ import annotations

import threading

import numpy as np

from .cache import as_float32, as_int32, jit
from .threads import CHUNK, over_chunks, spans

PIECE = 1 << 23  # values that the packed counters hold before they are emptied
_BLOCK = 2048  # values whose extremes are taken while they lie in the first-level cache
_INFINITY = np.int32(0x7F800000)
_LEAST = np.int32(-(1 << 31))


@jit
def _prefixes(bits, table):
    """Add float32 patterns to a table of (count << 40 | sum of low, sum of low squared).

    Returns the largest pattern, and the largest with the sign bit flipped: the ends of the range.
    """
    high = low = _LEAST
    for start in range(0, bits.size, _BLOCK):
        part = bits[start : start + _BLOCK]
        for j in range(part.size):
            high = max(high, part[j])
        for j in range(part.size):
            low = max(low, np.int32(part[j] ^ _LEAST))
        for j in range(part.size):
            pattern = np.int64(part[j])
            rest = pattern & 0xFFFF
            prefix = (pattern >> 16) & 0xFFFF
            table[prefix, 0] += (np.int64(1) << 40) + rest
            table[prefix, 1] += rest * rest
    return high, low


@jit
def _finite_ends(bits):
    """The ends as `_prefixes` gives them, leaving out NaN and infinities."""
    high = low = _LEAST
    for j in range(bits.size):
        if np.int32(bits[j] & np.int32(0x7FFFFFFF)) < _INFINITY:
            high = max(high, bits[j])
            low = max(low, np.int32(bits[j] ^ _LEAST))
    return high, low


@jit
def _empty(table, counts, sums, squares):
    for p in range(table.shape[0]):
        packed = table[p, 0]
        if packed != 0:
            counts[p] += (packed >> 40) & 0xFFFFFF
            sums[p] += packed & 0xFFFFFFFFFF
            squares[p] += table[p, 1]
            table[p, 0] = 0
            table[p, 1] = 0


class _Tables:
    """One table a running thread, handed out and taken back; the sums they are emptied into."""

    def __init__(self):
        self.free: list[np.ndarray] = []
        self.lock = threading.Lock()
        self.totals = [np.zeros(1 << 16, np.int64) for _ in range(3)]

    def work(self, x: np.ndarray) -> tuple[int, int]:
        """Add the values of one chunk; returns its ends."""
        try:
            table = self.free.pop()
        except IndexError:
            table = np.zeros((1 << 16, 2), np.int64)
        ends = [_piece(x[a:b], table, self) for a, b in spans(x.size, PIECE)]
        self.free.append(table)
        return max(e[0] for e in ends), max(e[1] for e in ends)

    def empty(self, table: np.ndarray) -> None:
        """Move a table's figures to the totals."""
        with self.lock:
            _empty(table, *self.totals)


def _piece(x: np.ndarray, table: np.ndarray, tables: _Tables) -> tuple[int, int]:
    with np.errstate(over="ignore"):
        bits = x.astype(np.float32, copy=False).view(np.int32)
    high, low = _prefixes(bits, table)
    if high >= _INFINITY or low >= _INFINITY:
        high, low = _finite_ends(bits)
    if x.size > CHUNK:  # small chunks leave their figures in the table of their thread
        tables.empty(table)
    return high, low


def prefix_histogram(
    x: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """Count, sum and sum of squares of the lower 16 bits for each upper half of a float32.

    Args:
        x: flat contiguous float32 or float64 (rounded to float32), any values.

    Returns:
        Three int64 arrays of 65536, and the smallest and largest finite value (inf and -inf where
        there is none).

    Example:
        >>> counts, sums, squares, low, high = prefix_histogram(np.float32([1.0, 1.0, -2.0]))
        >>> int(counts[0x3F80]), low, high
        (2, -2.0, 1.0)
    """
    tables = _Tables()
    ends = over_chunks(lambda a, b: tables.work(x[a:b]), x.size)
    for table in tables.free:
        tables.empty(table)
    high = max((e[0] for e in ends), default=_LEAST)
    low = max((e[1] for e in ends), default=_LEAST)
    return *tables.totals, *_values_of_ends(int(low), int(high))


def _values_of_ends(low: int, high: int) -> tuple[float, float]:
    """The smallest and the largest value from the extreme patterns of each sign."""
    none = int(_LEAST)
    if low == none and high == none:  # nothing but +0 and -0, or nothing finite: see the counts
        return np.inf, -np.inf
    values = [np.int32(p).view(np.float32) for p in (high,) if p >= 0]
    values += [-np.int32(p).view(np.float32) for p in (low,) if p >= 0]
    return float(min(values)), float(max(values))
