"""Rounding rows with scales that are given, and the squared error they would cause.

These serve whole tensors (where the maximum must be known first), static scales, and the search for
the scale of least error.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from .blocks import Element, _round_block
from .cache import jit
from .threads import over_chunks

PIECE = 1024


@jit
def _round_one_scale(x, out, scale, e, in_place):
    buffer = np.empty(PIECE if in_place else 1, np.float32)
    for start in range(0, x.size, PIECE):
        stop = min(start + PIECE, x.size)
        if in_place:
            _round_block(x[start:stop], buffer[: stop - start], scale, False, e)
            for j in range(stop - start):
                out[start + j] = buffer[j]
        else:
            _round_block(x[start:stop], out[start:stop], scale, False, e)


@jit
def _round_given(x, out, scales, size, e):
    rows, cols = x.shape
    for r in range(rows):
        for b in range(scales.shape[1]):
            start, stop = b * size, min(b * size + size, cols)
            _round_one_scale(x[r, start:stop], out[r, start:stop], scales[r, b], e, True)


def round_given(x: np.ndarray, out: np.ndarray, scales: np.ndarray, size: int, e: Element) -> None:
    """Quantize and dequantize float32 rows with given scales, one for every block, to `out`.

    Args:
        x: (rows, cols) float32, contiguous.
        out: likewise; may be `x`.
        scales: (rows, blocks in a row) float32.
        size: values a block.
        e: how scaled values are rounded.

    Example:
        >>> import workbench as wb
        >>> from workbench.kernels.blocks import element_of
        >>> x, y = np.float32([[1.4, 7.0]]), np.empty((1, 2), np.float32)
        >>> round_given(x, y, np.float32([[1.0]]), 2, element_of(wb.format("int8").rounder)); y
        array([[1., 7.]], dtype=float32)
    """
    if scales.shape[1] > 1:
        over_chunks(
            lambda a, b: _round_given(x[a:b], out[a:b], scales[a:b], size, e), len(x), x.shape[1]
        )
        return
    same = x.ctypes.data == out.ctypes.data
    for r, scale in enumerate(scales[:, 0]):
        work = partial(_round_span, x[r], out[r], scale, e, same)
        over_chunks(work, x.shape[1])


def _round_span(x, out, scale, e, in_place, start, stop):
    """One stretch of a row under one scale."""
    _round_one_scale(x[start:stop], out[start:stop], scale, e, in_place)


@jit
def _errors(x, scales, size, e, out):
    rows, cols = x.shape
    buffer = np.empty(PIECE, np.float32)
    for r in range(rows):
        for b in range(scales.shape[1]):
            total = 0.0
            stop = min(b * size + size, cols)
            for start in range(b * size, stop, PIECE):
                n = min(PIECE, stop - start)
                _round_block(x[r, start : start + n], buffer[:n], scales[r, b], False, e)
                for j in range(n):
                    d = np.float64(buffer[j]) - np.float64(x[r, start + j])
                    total += d * d if d == d else 0.0
            out[r, b] = total


def squared_errors(x: np.ndarray, scales: np.ndarray, size: int, e: Element) -> np.ndarray:
    """The squared error of every block under given scales, float64; NaN and infinities count 0.

    Example:
        >>> import workbench as wb
        >>> from workbench.kernels.blocks import element_of
        >>> e = element_of(wb.format("int8").rounder)
        >>> squared_errors(np.float32([[1.5, 7.0]]), np.float32([[1.0]]), 2, e)
        array([[0.25]])
    """
    out = np.empty(scales.shape, np.float64)
    over_chunks(lambda a, b: _errors(x[a:b], scales[a:b], size, e, out[a:b]), len(x), x.shape[1])
    return out
