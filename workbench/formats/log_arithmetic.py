"""Sums and products of logarithmic numbers: a product adds logarithms, a sum looks one up.

log2(a + b) = log2(a) + log2(1 + 2^-d) where d is how much smaller log2(b) is; the second part,
rounded to a step, is a short table (Swartzlander and Alexopoulos, 1975).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from .tapered import LogFormat

ZERO = np.iinfo(np.int64).min  # the logarithm of zero


@lru_cache(maxsize=16)
def sum_table(fraction: int) -> np.ndarray:
    """What a sum adds to the larger logarithm, in steps, for each difference until it is nothing.

    Example:
        >>> len(sum_table(4)), sum_table(2)
        (89, array([4, 4, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1]))
    """
    one = 2**fraction
    last = math.ceil(-one * math.log2(2 ** (0.5 / one) - 1))
    d = np.arange(last)
    return np.rint(one * np.log2(1 + 2.0 ** (-d / one))).astype(np.int64)


@lru_cache(maxsize=16)
def difference_table(fraction: int) -> np.ndarray:
    """The same for a difference, 0 or less; entry 0 is not used, as equal numbers leave zero.

    Example:
        >>> difference_table(1)
        array([ 0, -4, -2, -1, -1, -1])
    """
    one = 2**fraction
    last = math.ceil(-one * math.log2(1 - 2 ** (-0.5 / one)))
    d = np.arange(1, last)
    return np.concatenate([[0], np.rint(one * np.log2(1 - 2.0 ** (-d / one)))]).astype(np.int64)


def multiply(f: LogFormat, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Products of values of a logarithmic format: exact but for its range.

    Example:
        >>> multiply(LogFormat(3, 1), np.array([2.0, 2.0]), np.array([-4.0, 0.0]))
        array([-8.,  0.])
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    zero = (a == 0) | (b == 0)
    steps = np.where(zero, 0, _steps(f, a)) + np.where(zero, 0, _steps(f, b))
    return _values(f, np.sign(a) * np.sign(b), np.where(zero, ZERO, steps))


def add(f: LogFormat, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sums of values of a logarithmic format, each the logarithm of the true sum rounded.

    Example:
        >>> add(LogFormat(3, 1), np.array([2.0, 2.0, 4.0]), np.array([2.0, -2.0, 0.0]))
        array([4., 0., 4.])
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    larger, smaller = np.where(np.abs(a) >= np.abs(b), (a, b), (b, a))
    top, low = _steps(f, larger), _steps(f, smaller)
    gap = np.where(smaller == 0, ZERO, top - low)
    same = np.sign(larger) == np.sign(smaller)
    more = np.where(same, _look(sum_table(f.fraction), gap),
                    _look(difference_table(f.fraction), gap))  # fmt: skip
    gone = (larger == 0) | (~same & (gap == 0))
    return _values(f, np.sign(larger), np.where(gone, ZERO, top + more))


def _look(table: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Entries of a table, nothing beyond its end and for zero."""
    known = (gap >= 0) & (gap < table.size)
    return np.where(known, table[np.where(known, gap, 0)], 0)


def _steps(f: LogFormat, x: np.ndarray) -> np.ndarray:
    """Logarithms of magnitudes as whole numbers of steps; of zero any number."""
    with np.errstate(divide="ignore"):
        logarithm = np.log2(np.abs(x))
    return np.rint(np.where(x == 0, 0, logarithm) * 2.0**f.fraction).astype(np.int64)


def _values(f: LogFormat, sign: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Signed values from logarithms; the largest where they are too large, zero where too small."""
    last = int(f.logarithms[-1])
    value = f.power(np.clip(steps, -last, last))
    return np.where((steps < -last) | (sign == 0), 0.0, sign * value) + 0.0
