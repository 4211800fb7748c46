"""How scaled values of blocks are rounded, in one of four kinds, as flat arrays for kernels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .casts import FloatRounder, GridRounder, Rounder
from .parameters import words_of
from .steps import FastFloat

FLOAT, GRID, SHORT, LONG = range(4)
FLOAT_AT = 6  # where the FastFloat begins among the words
MODERATE = 2.0**40  # steps and reaches of formats that the quick loops serve, and their inverses


class Element(NamedTuple):
    """How scaled values are rounded: the kind, then the parameters of all kinds.

    `words` holds the kind, whether the quick loops serve it, its smallest and largest value (in
    steps for a GRID), a grid's step and its inverse, and a FastFloat; SHORT tables (16 values) have
    `thresholds`, `values` and their search `tree`, LONG ones `first` candidates too.
    """

    words: np.ndarray
    thresholds: np.ndarray
    values: np.ndarray
    tree: np.ndarray
    first: np.ndarray


def element_of(rounder: Rounder) -> Element:
    """The block kernels' view of a rounder that saturates and has a float32 fast path.

    Example:
        >>> import workbench as wb
        >>> int(element_of(wb.format("int4").rounder).words[0])
        1
    """
    known = rounder.__dict__
    if "element" not in known:
        known["element"] = _new_element(rounder)
    return known["element"]


def _new_element(rounder: Rounder) -> Element:
    none, no_index = np.zeros(1, np.float32), np.zeros(1, np.int32)
    if isinstance(rounder, FloatRounder):
        fast = rounder.fast
        finest = np.int32(fast.least + fast.step).view(np.float32)
        words = _words(FLOAT, finest, (-fast.top, fast.top), fast=fast)
        return Element(words, none, none, none, no_index)
    if isinstance(rounder, GridRounder):
        step, low, high = (np.float32(v) for v in rounder.grid)
        words = _words(GRID, step, (low, high), step)
        return Element(words, none, none, none, no_index)
    values, short = rounder.values32, rounder.first is None
    return Element(
        _words(SHORT if short else LONG, np.abs(rounder.thresholds).min(), (values[0], values[-1])),
        rounder.thresholds,
        values,
        rounder.tree if short else none,
        no_index if short else rounder.first,
    )


def _words(kind: int, finest: float, ends: tuple, step: float = 1.0, fast=None) -> np.ndarray:
    """The words of an element whose decisions lie no finer than `finest`."""
    reach = step * max(abs(end) for end in ends)
    quick = kind != LONG and finest >= 1 / MODERATE and reach <= MODERATE
    numbers = (*ends, step, 1 / step)
    floats = tuple(np.float32(v) for v in numbers)
    return words_of(np.int32(kind), np.int32(quick), floats, fast or no_fast_float())


def no_fast_float() -> FastFloat:
    """A FastFloat of zeros, for kernels that are handed one they do not use.

    Example:
        >>> float(no_fast_float().top)
        0.0
    """
    floats = ("top", "grow", "shrink")
    types = (np.float32 if name in floats else np.int32 for name in FastFloat._fields)
    return FastFloat(*(number(0) for number in types))


__all__ = ["Element", "element_of", "no_fast_float"]
