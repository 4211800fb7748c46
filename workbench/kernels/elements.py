"""The rounding of scaled values in one of four kinds, as flat arrays that kernels take quickly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .cache import as_float32
from .casts import FloatRounder, GridRounder, Rounder, grid_nearest32, lookup32, nearest_short
from .lane_steps import grid_lanes, nearest_lanes, saturated_lanes, tree_lanes
from .lanes import LANES, inline, load, spread, store
from .parameters import fast_float, words_of
from .steps import FastFloat, saturated

FLOAT, GRID, SHORT, LONG = range(4)
_NO_GRID = (np.float32(1),) * 4  # step, inverse, low, high
_FLOAT_AT = 1 + len(_NO_GRID)


class Element(NamedTuple):
    """How scaled values are rounded: the kind, then the parameters of all kinds.

    `words` holds the kind, step, inverse, low and high of a grid and a FastFloat; SHORT tables (16
    values) have `thresholds`, `values` and their search `tree`, LONG ones `first` candidates too.
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
        return Element(_words(FLOAT, fast=rounder.fast), none, none, none, no_index)
    if isinstance(rounder, GridRounder):
        step, low, high = (np.float32(v) for v in rounder.grid)
        grid = (step, np.float32(1) / step, low, high)
        return Element(_words(GRID, grid), none, none, none, no_index)
    short = rounder.first is None
    return Element(
        _words(SHORT if short else LONG),
        rounder.thresholds,
        rounder.values32,
        rounder.tree if short else none,
        no_index if short else rounder.first,
    )


def _words(kind: int, grid=None, fast=None) -> np.ndarray:
    return words_of(np.int32(kind), grid or _NO_GRID, fast or no_fast_float())


def no_fast_float() -> FastFloat:
    """A FastFloat of zeros, for kernels that are handed one they do not use.

    Example:
        >>> float(no_fast_float().top)
        0.0
    """
    floats = ("top", "grow", "shrink")
    types = (np.float32 if name in floats else np.int32 for name in FastFloat._fields)
    return FastFloat(*(number(0) for number in types))


@inline
def _round_float(x, out, start, stop, scale, exact_inverse, p):
    whole = start + ((stop - start) & -LANES)
    if exact_inverse:
        factor = spread(np.float32(np.float32(1) / scale))
        for j in range(start, whole, LANES):
            store(out, j, saturated_lanes(load(x, j) * factor, p) * spread(scale))
    else:
        for j in range(start, whole, LANES):
            store(out, j, saturated_lanes(load(x, j) / spread(scale), p) * spread(scale))
    for j in range(whole, stop):
        out[j] = np.float32(saturated(np.float32(x[j] / scale), p) * scale)


@inline
def _round_sixteens(x, out, start, count, scales, p):
    """Blocks of sixteen, written out: a loop of two turns costs as much as its work."""
    for b in range(count):
        at, scale = start + b * 16, spread(scales[b])
        low = saturated_lanes(load(x, at) / scale, p)
        high = saturated_lanes(load(x, at + LANES) / scale, p)
        store(out, at, low * scale)
        store(out, at + LANES, high * scale)


@inline
def _round_grid(x, out, start, stop, scale, step, inverse, low, high):
    whole = start
    unit = np.float32(scale * step)
    if np.float32(unit * inverse) == scale:  # no underflow: one division brings x to the grid
        whole += (stop - start) & -LANES
        for j in range(start, whole, LANES):
            store(out, j, grid_lanes(load(x, j) / spread(unit), low, high) * spread(unit))
    for j in range(whole, stop):
        y = np.float32(np.float32(x[j] / scale) * inverse)
        out[j] = np.float32(np.float32(grid_nearest32(y, low, high) * step) * scale)


@inline
def _round_short(x, out, start, stop, scale, tree, thresholds, values):
    whole = start + ((stop - start) & -LANES)
    for j in range(start, whole, LANES):
        y = nearest_lanes(load(x, j) / spread(scale), tree, thresholds, values)
        store(out, j, y * spread(scale))
    for j in range(whole, stop):
        y = nearest_short(np.float32(x[j] / scale), thresholds, values)
        out[j] = np.float32(y * scale)


@inline
def _round_long(x, out, start, stop, scale, thresholds, first, values):
    for j in range(start, stop):
        y = lookup32(np.float32(x[j] / scale), thresholds, first, values)
        out[j] = np.float32(y * scale)


@inline
def round_strip(x, out, start, width, count, scales, exact_inverse, e):
    """Round `count` blocks of `width` values from `start` on, each with its own scale.

    With `exact_inverse` scales are powers of two, and multiplying by the inverse is dividing.
    """
    words = e.words
    if words[0] == FLOAT:
        p = fast_float(words, _FLOAT_AT)
        if width == 16 and not exact_inverse:
            _round_sixteens(x, out, start, count, scales, p)
            return
        for b in range(count):
            at = start + b * width
            _round_float(x, out, at, at + width, scales[b], exact_inverse, p)
    elif words[0] == GRID:
        step, inverse = as_float32(words[1]), as_float32(words[2])
        low, high = as_float32(words[3]), as_float32(words[4])
        for b in range(count):
            at = start + b * width
            _round_grid(x, out, at, at + width, scales[b], step, inverse, low, high)
    elif words[0] == SHORT:
        tree = tree_lanes(e.tree)
        for b in range(count):
            at = start + b * width
            _round_short(x, out, at, at + width, scales[b], tree, e.thresholds, e.values)
    else:
        for b in range(count):
            at = start + b * width
            _round_long(x, out, at, at + width, scales[b], e.thresholds, e.first, e.values)


__all__ = ["Element", "element_of", "no_fast_float", "round_strip"]
