"""Rounding rows with scales that are given, and the squared error they would cause.

These serve whole tensors (where the maximum must be known first), static scales, and the search for
the scale of least error.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from .cache import jit
from .elements import Element
from .scales import GIVEN
from .strips import invert, round_strip
from .threads import CHUNK, over_chunks

PIECE = 1024


@jit
def _round_one_scale(x, out, scale, words, thresholds, values, tree, first):
    e = Element(words, thresholds, values, tree, first)
    scales, inverses = np.full(1, scale, np.float32), np.empty(1, np.float32)
    moderate = invert(scales, inverses, 1)
    round_strip(x, out, 0, x.size, 1, scales, inverses, moderate, GIVEN, e)


@jit
def _round_given(x, out, scales, size, words, thresholds, values, tree, first):
    e = Element(words, thresholds, values, tree, first)
    whole, rest = divmod(x.shape[1], size)
    inverse = np.empty(scales.shape[1], np.float32)
    for r in range(x.shape[0]):
        row, target, scale = x[r], out[r], scales[r]
        moderate = invert(scale, inverse, scale.size)
        round_strip(row, target, 0, size, whole, scale, inverse, moderate, GIVEN, e)
        if rest:
            at, last, of_last = whole * size, scale[whole:], inverse[whole:]
            round_strip(row, target, at, rest, 1, last, of_last, moderate, GIVEN, e)


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
    if scales.shape[1] > 1 or x.shape[1] <= CHUNK:
        over_chunks(
            lambda a, b: _round_given(x[a:b], out[a:b], scales[a:b], size, *e), len(x), x.shape[1]
        )
        return
    for row, target, scale in zip(x, out, scales[:, 0], strict=True):
        over_chunks(partial(_round_span, row, target, scale, e), row.size)


def _round_span(x, out, scale, e, start, stop):
    """One stretch of a row under one scale."""
    _round_one_scale(x[start:stop], out[start:stop], scale, *e)


@jit
def _errors(x, scales, size, out, words, thresholds, values, tree, first):
    e = Element(words, thresholds, values, tree, first)
    rows, cols = x.shape
    buffer, inverse = np.empty(PIECE, np.float32), np.empty(1, np.float32)
    for r in range(rows):
        for b in range(scales.shape[1]):
            total, scale = 0.0, scales[r, b : b + 1]
            moderate = invert(scale, inverse, 1)
            stop = min(b * size + size, cols)
            for start in range(b * size, stop, PIECE):
                n = min(PIECE, stop - start)
                part = x[r, start : start + n]
                round_strip(part, buffer, 0, n, 1, scale, inverse, moderate, GIVEN, e)
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
    over_chunks(lambda a, b: _errors(x[a:b], scales[a:b], size, out[a:b], *e), len(x), x.shape[1])
    return out
