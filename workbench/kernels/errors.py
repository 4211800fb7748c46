"""Sums of squared errors, split by cause, over chunks of values."""

from __future__ import annotations

import numpy as np

from .cache import jit

# What `error_sums` adds up, in this order.
FIELDS = (
    "finite",
    "nan",
    "infinite",
    "signal",
    "rounding",
    "clipping",
    "underflow",
    "scale",
    "largest",
)


@jit
def _error_sums(x, y, plain, scale, zero, low, high, sums):
    for i in range(x.size):
        v = np.float64(x[i])
        if v != v:
            sums[1] += 1
            continue
        if abs(v) == np.inf:
            sums[2] += 1
            continue
        e = np.float64(y[i]) - v
        square = e * e
        sums[0] += 1
        sums[3] += v * v
        if not (square < np.inf):
            square = np.inf
        s, z = np.float64(scale[i]), np.float64(zero[i])
        if v > (high - z) * s or v < (low - z) * s or square == np.inf:
            sums[5] += square
        elif y[i] == 0:
            sums[6] += square
        else:
            p = np.float64(plain[i]) - v
            sums[4] += p * p
            sums[7] += square - p * p
        sums[8] = max(sums[8], abs(e) if square < np.inf else np.inf)


def error_sums(
    x: np.ndarray,
    y: np.ndarray,
    plain: np.ndarray,
    scale: np.ndarray,
    zero: np.ndarray,
    limits: tuple[float, float],
) -> np.ndarray:
    """The figures of `FIELDS` for one chunk, in float64 and in order.

    Args:
        x: flat values.
        y: what they become.
        plain: what they would become with unrounded scales.
        scale: the scale of every value.
        zero: the zero point of every value.
        limits: where clipping begins, in the format's units before the zero point.

    Example:
        >>> one = np.ones(2)
        >>> error_sums(one * 3, one * 2, one * 2, one, 0 * one, (-2.5, 2.5))[5]
        np.float64(2.0)
    """
    sums = np.zeros(len(FIELDS))
    _error_sums(x, y, plain, scale, zero, limits[0], limits[1], sums)
    return sums


@jit
def _pair_sums(x, y, sums):
    for i in range(x.size):
        v, w = np.float64(x[i]), np.float64(y[i])
        if abs(v) < np.inf:
            e = abs(w - v)
            e = e if e < np.inf else np.inf
            w = w if abs(w) < np.inf else 0.0
            sums[0] += 1
            sums[1] += v * v
            sums[2] += e * e
            sums[3] += w * w
            sums[4] += v * w
            sums[5] = max(sums[5], e)


def pair_sums(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Count, sum x^2, sum (y - x)^2, sum y^2, sum x y and largest |y - x| where x is finite.

    A y that is NaN or infinite there has an infinite error.

    Example:
        >>> pair_sums(np.array([1.0, np.nan]), np.array([0.5, 1.0])).tolist()
        [1.0, 1.0, 0.25, 0.25, 0.5, 0.5]
    """
    sums = np.zeros(6)
    _pair_sums(x, y, sums)
    return sums
