"""From already rounded values to their codes."""

from __future__ import annotations

import numpy as np

from .cache import as_int64, jit
from .threads import over_chunks


@jit
def _float_codes(y, out, mantissa, least, width, nan, infinity, signed):
    for i in range(y.size):
        v = np.float64(y[i])
        bits = as_int64(v)
        exponent = ((bits >> 52) & 0x7FF) - 1023
        fraction = (bits & 0xFFFFFFFFFFFFF) >> (52 - mantissa)
        if v != v:
            code = np.int64(nan)
        elif abs(v) == np.inf:
            code = np.int64(infinity)
        elif v == 0:
            code = np.int64(0)
        elif exponent < least:
            code = (fraction | (np.int64(1) << mantissa)) >> (least - exponent)
        else:
            code = ((exponent - least + 1) << mantissa) | fraction
        if v == v and signed and bits < 0:
            code |= np.int64(1) << width
        out[i] = code


def float_codes(
    y: np.ndarray,
    out: np.ndarray,
    mantissa: int,
    least: int,
    width: int,
    nan: int,
    infinity: int,
    signed: bool,
) -> None:
    """Write the codes of float values that the format has: sign, exponent, mantissa.

    Args:
        y: flat values, float32 or float64.
        out: their codes, uint8 or uint16.
        mantissa: mantissa bits.
        least: exponent of the smallest normal.
        width: bits under the sign.
        nan: the code of NaN.
        infinity: the code of +inf.
        signed: whether there is a sign bit.

    Example:
        >>> out = np.empty(2, np.uint8)
        >>> float_codes(np.array([1.0, -6.0]), out, 1, 0, 3, 0, 0, True); out
        array([ 2, 15], dtype=uint8)
    """
    fields = (mantissa, least, width, nan, infinity, signed)
    over_chunks(lambda a, b: _float_codes(y[a:b], out[a:b], *fields), y.size)


@jit
def _search_codes(y, values, codes, nan, out):
    for i in range(y.size):
        v = np.float64(y[i])
        low, high = 0, values.size - 1
        while low < high:
            middle = (low + high) // 2
            if values[middle] < v:
                low = middle + 1
            else:
                high = middle
        if v != v:
            out[i] = nan
            continue
        if low > 0 and abs(values[low - 1] - v) < abs(values[low] - v):
            low -= 1
        out[i] = codes[low]


def codes_by_search(
    y: np.ndarray, values: np.ndarray, codes: np.ndarray, nan: int, out: np.ndarray
) -> None:
    """Write the code of the listed value nearest to each `y` (float32 copies of them match too).

    Example:
        >>> out = np.empty(2, np.uint8)
        >>> codes_by_search(np.array([1.0, np.nan]), np.array([0.0, 1.0]), np.array([4, 5]), 9, out)
        >>> out
        array([5, 9], dtype=uint8)
    """
    over_chunks(lambda a, b: _search_codes(y[a:b], values, codes, nan, out[a:b]), y.size)
