"""Single figures of how far a rounded tensor is from the original.

All leave out positions where the original is NaN or infinite; a result that is NaN or infinite
where the original is finite has an infinite error. Empty arrays have no error.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..formats import Format
from ..kernels import arrays
from ..kernels.errors import pair_sums
from ..kernels.threads import CHUNK, over_chunks, spans
from ..schemes import QuantizedTensor
from ..schemes.report import decibels


def _sums(x: Any, y: Any) -> np.ndarray:
    """Count, sums of x^2, (y - x)^2, y^2, x y, and the largest |y - x|."""
    x, y = (arrays.to_numpy(v.cpu() if arrays.on_device(v) else v) for v in (x, y))
    if x.shape != y.shape:
        raise WorkbenchError(
            f"arrays of shapes {x.shape} and {y.shape}",
            "values are compared one by one",
            "pass the original and its rounded copy",
        )
    x, y = np.ravel(x), np.ravel(y)
    pieces = spans(x.size, CHUNK)
    parts = over_chunks(
        lambda a, b: [pair_sums(x[i:j], y[i:j]) for i, j in pieces[a:b]], len(pieces), CHUNK
    )
    flat = [sums for part in parts for sums in part] or [np.zeros(6)]
    total = np.sum(flat, axis=0)
    total[5] = max(sums[5] for sums in flat)
    return total


def mse(x: Any, y: Any) -> float:
    """The mean squared difference of two arrays of one shape; 0 for empty ones.

    Example:
        >>> mse([1.0, 2.0], [1.0, 1.0])
        0.5
    """
    count, _, error, *_ = _sums(x, y)
    return float(error / count) if count else 0.0


def sqnr(x: Any, y: Any) -> float:
    """Signal-to-quantization-noise ratio of `y` against `x` in dB; +inf where they are equal.

    Example:
        >>> round(sqnr([1.0, 1.0], [0.9, 1.1]), 6)
        20.0
    """
    _, signal, error, *_ = _sums(x, y)
    return decibels(float(signal), float(error))


def effective_bits(x: Any, y: Any) -> float:
    """(SQNR - 1.76) / 6.02: bits of the uniform quantizer of a full-scale sine that is as good.

    Example:
        >>> round(effective_bits([1.0, 1.0], [0.9, 1.1]), 2)
        3.03
    """
    return (sqnr(x, y) - 1.76) / 6.02


def max_error(x: Any, y: Any) -> float:
    """The largest absolute difference; 0 for empty arrays.

    Example:
        >>> max_error([1.0, -2.0], [1.5, -1.0])
        1.0
    """
    return float(_sums(x, y)[5])


def relative_error(x: Any, y: Any) -> float:
    """The norm of the difference over the norm of `x`; inf where only `x` is 0.

    Example:
        >>> relative_error([3.0, 4.0], [3.0, 3.5])
        0.1
    """
    _, signal, error, *_ = _sums(x, y)
    if error == 0:
        return 0.0
    return math.sqrt(error / signal) if signal else math.inf


def cosine(x: Any, y: Any) -> float:
    """The cosine of the angle between two arrays as vectors; NaN where one of them is 0.

    NaN and infinities in `y` count as 0.

    Example:
        >>> cosine([1.0, 0.0], [1.0, 1.0])
        0.707...
    """
    _, xx, _, yy, xy, _ = (float(v) for v in _sums(x, y))
    if xx == 0 or yy == 0:
        return math.nan
    return max(-1.0, min(1.0, xy / (math.sqrt(xx) * math.sqrt(yy))))


def unused_codes(codes: QuantizedTensor | np.ndarray, format: Format | None = None) -> float:
    """The share of a format's finite values that never occur, from 0 to 1.

    Args:
        codes: a `QuantizedTensor`, or an array of codes together with their format.
        format: the format of the codes; taken from a `QuantizedTensor`.

    Two codes of one value (the two zeros) count as one; an empty tensor leaves all unused.

    Example:
        >>> import workbench as wb
        >>> unused_codes(wb.scheme("int2/tensor").quantize([1.0, -1.0, 0.0]))
        0.25
    """
    if isinstance(codes, QuantizedTensor):
        format, codes = codes.scheme.format, codes.codes
    if format is None:
        raise WorkbenchError(
            "codes without their format", "their values are not known", "pass format=..."
        )
    used = np.zeros(1 << format.bits, bool)
    used[np.unique(np.asarray(codes))] = True
    values = format.code_values[used]
    return 1.0 - np.unique(values[np.isfinite(values)]).size / len(format)
