"""Eight values at a time: the lane twins of the scalar steps, with the same bits."""

from __future__ import annotations

import numpy as np

from .lanes import (
    HAS_PERMUTE,
    as_ones,
    bits,
    floats,
    inline,
    less,
    load,
    permuted,
    rounded,
    spread,
    unordered,
    where,
)

MAGNITUDE = np.int32(0x7FFFFFFF)
_EXPONENT = np.int32(0x7F800000)
TREE = 35  # numbers in a table's search tree
ENTRIES = 16  # values of the tables that are searched without a gather


@inline
def magnitudes(v):
    """The patterns of |v|: as integers they order like the values, NaN and infinity on top."""
    return bits(v) & spread(MAGNITUDE)


@inline
def most(a, b):
    """The larger of two int32 lanes."""
    return where(less(a, b), b, a)


@inline
def saturated_lanes(v, p):
    """`steps.saturated` of eight values."""
    top = spread(p.top)
    y = where(less(top, v), top, v)
    bottom = spread(np.float32(-p.top))
    y = where(less(y, bottom), bottom, y)
    c = floats(most(bits(y) & spread(_EXPONENT), spread(p.least)) + spread(p.shift))
    y = (y + c) - c
    return floats(bits(y) | (bits(v) & spread(p.sign)))


@inline
def clamped_lanes(v, low, high):
    """Eight values no lower than `low` and no higher than `high`; NaN stays."""
    a, b = spread(low), spread(high)
    v = where(less(v, a), a, v)
    return where(less(b, v), b, v)


@inline
def grid_lanes(v, low, high):
    """`casts.grid_nearest32` of eight values."""
    return rounded(clamped_lanes(v, low, high)) + spread(np.float32(0))


@inline
def tree_lanes(tree):
    """A search tree's tables and its first three thresholds as lanes, which stay in registers."""
    tables = (load(tree, 0), load(tree, 8), load(tree, 16), load(tree, 24))
    return tables, (spread(tree[32]), spread(tree[33]), spread(tree[34]))


@inline
def _by_permute(v, tree, thresholds, values):
    """Four comparisons down a tree whose levels lie in registers."""
    tables, first = tree
    upper = less(first[0], v)
    index = as_ones(upper)
    index = index + index + as_ones(less(where(upper, first[2], first[1]), v))
    index = index + index + as_ones(less(permuted(tables[0], index), v))
    index = index + index + as_ones(less(permuted(tables[1], index), v))
    y = where(upper, permuted(tables[3], index), permuted(tables[2], index))
    return where(unordered(v), v, y)


@inline
def _by_chain(v, tree, thresholds, values):
    """Fifteen comparisons one after another, for processors without a permutation."""
    y = spread(values[0])
    for i in range(ENTRIES - 1):
        y = where(less(spread(thresholds[i]), v), spread(values[i + 1]), y)
    return where(unordered(v), v, y)


nearest_lanes = _by_permute if HAS_PERMUTE else _by_chain


def search_tree(thresholds: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The levels of a search among 15 thresholds as `nearest_lanes` reads them, float32.

    The index counts down from 0 with each comparison that holds and a permutation reads its last
    three bits, so the tables lie in reverse: entry -i & 7 for index -i.

    Example:
        >>> search_tree(np.arange(15, dtype=np.float32), np.zeros(16, np.float32)).size
        35
    """
    tree = np.zeros(TREE, np.float32)
    for i in range(4):
        tree[-i & 7] = thresholds[4 * i + 1]
    for i in range(8):
        tree[8 + (-i & 7)] = thresholds[2 * i]
        tree[16 + (-i & 7)] = values[i]
        tree[24 + (-i & 7)] = values[8 + i]
    tree[32:] = thresholds[[7, 3, 11]]
    return tree
