"""Eight values at a time: the lane twins of the scalar steps, with the same bits."""

from __future__ import annotations

import numpy as np

from .lanes import (
    HAS_FUSED,
    HAS_PERMUTE,
    as_ones,
    bits,
    floats,
    fused,
    inline,
    less,
    load,
    negative,
    permuted,
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
def clamped_lanes(v, low, high):
    """Eight values no lower than `low` and no higher than `high`; NaN stays."""
    v = where(less(v, low), low, v)
    return where(less(high, v), high, v)


@inline
def float_lanes(v, signs, least, p):
    """Eight values within the reach of a float format rounded to it, ties to even.

    `least` has the pattern of the smallest normal's power of two, `p.least` or that times a scale;
    zeros take the sign of `signs`.
    """
    c = floats(most(bits(v) & spread(_EXPONENT), least) + spread(p.shift))
    y = (v + c) - c
    return floats(bits(y) | (bits(signs) & spread(p.sign)))


@inline
def saturated_lanes(v, p):
    """`steps.saturated` of eight values."""
    y = clamped_lanes(v, spread(np.float32(-p.top)), spread(p.top))
    return float_lanes(y, y, spread(p.least), p)


@inline
def cut_lanes(v, p):
    """`steps.cut` of eight values that are no NaN."""
    odd = as_ones(less(spread(np.int32(0)), bits(v) & spread(p.last)))
    return floats((bits(v) + spread(p.half) - odd) & spread(p.mask))


@inline
def _quotient_by_inverse(v, scale, inverse):
    """The quotient v / scale, correctly rounded, from the correctly rounded 1 / scale.

    The product with the inverse is less than two units in the last place off; its remainder, which
    a fused multiplication gives exactly, brings it to the nearest float32. This holds for every
    pair of significands (tests/kernels/test_quotients.py goes through all that come near a tie),
    as long as nothing overflows or is subnormal on the way. A quotient of -0 comes out as +0.
    """
    q = v * inverse
    return fused(fused(negative(q), scale, v), inverse, q)


@inline
def _quotient(v, scale, inverse):
    return v / scale


quotient_lanes = _quotient_by_inverse if HAS_FUSED else _quotient


@inline
def _scaled_once(whole, scale):
    """Whole numbers times a scale; zero comes out positive."""
    return fused(whole, scale, spread(np.float32(0)))


@inline
def _scaled(whole, scale):
    return (whole + spread(np.float32(0))) * scale


scaled_lanes = _scaled_once if HAS_FUSED else _scaled


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
    return where(upper, permuted(tables[3], index), permuted(tables[2], index))


@inline
def _by_chain(v, tree, thresholds, values):
    """Fifteen comparisons one after another, for processors without a permutation."""
    y = spread(values[0])
    for i in range(ENTRIES - 1):
        y = where(less(spread(thresholds[i]), v), spread(values[i + 1]), y)
    return y


found_lanes = _by_permute if HAS_PERMUTE else _by_chain


@inline
def nearest_lanes(v, tree, thresholds, values):
    """The values of a table of sixteen that are nearest to eight numbers; NaN stays."""
    return where(unordered(v), v, found_lanes(v, tree, thresholds, values))


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
