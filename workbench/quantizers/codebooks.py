"""Codebooks made for a tensor: by alternation, and the best one there is.

`lloyd_max` is the alternation of Lloyd (1982) and Max (1960) from several starts; `best_codebook`
is the global optimum in one dimension by dynamic programming (Wang & Song, 2011), with divide and
conquer over the monotone cuts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..formats.codebook import CodebookFormat, typed_codebook
from .points import Points

MOST_BITS = 6
MOST_ROUNDS = 2000
FINENESS = 7  # bits that a value keeps under the smallest gap, so that names stay short
Ends = tuple[float | None, float | None]
FREE: Ends = (None, None)


def lloyd_max(
    x: Any,
    bits: int,
    weights: Any = None,
    ends: Ends = FREE,
    normalise: bool = False,
    starts: int = 6,
    seed: int = 0,
) -> CodebookFormat:
    """The codebook that alternating nearest cells and their means settles on.

    Args:
        x: an array or tensor of values, a sketch, or `Points`.
        bits: 1 to 6; the codebook has 2**bits values.
        weights: of the values of an array; None for one each.
        ends: values that its first and its last code are held at; None leaves them free.
        normalise: divide by the largest magnitude, so that it becomes 1.
        starts: how many starts to take the best of; after three of a rule, they are drawn.
        seed: of the drawn starts.

    Bits out of range, nothing finite, or fewer distinct values than codes, raise `WorkbenchError`.

    Example:
        >>> lloyd_max(np.array([0.0, 0.125, 0.875, 1.0]), 1).name
        'codebook(0.0625,0.9375)'
    """
    points = _checked(x, bits, weights, ends)
    found = [_alternated(points, start, ends) for start in _starts(points, 1 << bits, starts, seed)]
    return _named(_exchanged(points, min(found, key=points.error), ends), normalise)


def best_codebook(
    x: Any, bits: int, weights: Any = None, ends: Ends = FREE, normalise: bool = False
) -> CodebookFormat:
    """The codebook with the least squared error that any codebook of that size has.

    Arrays of more than `MOST_POINTS` distinct values are merged into narrow bins first, so that
    cuts fall between bins.

    Args:
        x: an array or tensor of values, a sketch, or `Points`.
        bits: 1 to 6; the codebook has 2**bits values.
        weights: of the values of an array; None for one each.
        ends: values that its first and its last code are held at; None leaves them free.
        normalise: divide by the largest magnitude, so that it becomes 1.

    Bits out of range, nothing finite, or fewer distinct values than codes, raise `WorkbenchError`.

    Example:
        >>> best_codebook(np.array([0.0, 1.0, 2.0, 9.0]), 1).table
        (1.0, 9.0)
    """
    points = _checked(x, bits, weights, ends)
    return _named(_optimal(points, 1 << bits, ends), normalise)


def _checked(x: Any, bits: int, weights: Any, ends: Ends) -> Points:
    """The points, or the refusal of what has no codebook of that size."""
    if bits not in range(1, MOST_BITS + 1):
        raise WorkbenchError(
            f"{bits} bits", f"codebooks are made with 1 to {MOST_BITS} bits", "write 4"
        )
    points = x if isinstance(x, Points) else Points.of(x, weights)
    low, high = ends
    if None not in ends and not low < high:
        raise WorkbenchError(f"ends {ends}", "the first is the smaller one", "write (-1.0, 1.0)")
    points = points if ends == FREE else _within(points, ends)
    free = (1 << int(bits)) - sum(end is not None for end in ends)
    if points.at.size < free:
        raise WorkbenchError(
            f"{points.at.size} distinct values for {1 << int(bits)} codes",
            "each code needs a value of its own",
            f"use {max(1, int(points.at.size).bit_length() - 1)} bits or more values",
        )
    return points


def _within(points: Points, ends: Ends) -> Points:
    """The points with those beyond a held end on it, where they become that end in any case."""
    low, high = (s * np.inf if end is None else end for s, end in zip((-1, 1), ends, strict=True))
    return Points.of(np.clip(points.at, low, high), points.weight)


def _named(values: np.ndarray, normalise: bool) -> CodebookFormat:
    """The format of these values, as multiples of a power of two that float32 and text hold."""
    if normalise:
        values = values / (np.abs(values).max() or 1.0)
    gap, reach = np.diff(values).min(initial=np.inf), np.abs(values).max()
    finest = np.frexp(reach)[1] - 24
    step = 2.0 ** max(np.frexp(max(gap, 0.0))[1] - 1 - FINENESS if gap > 0 else finest, finest)
    rounded = np.round(values / step) * step + 0.0
    if np.unique(rounded).size < rounded.size:
        raise WorkbenchError(
            f"{np.unique(rounded).size} distinct values for {rounded.size} codes",
            "two codes would be the same number in float32", "use fewer bits or more spread values",
        )  # fmt: skip
    return typed_codebook(",".join(map(repr, rounded.tolist())))


def _starts(points: Points, count: int, most: int, seed: int) -> Iterator[np.ndarray]:
    """Ascending first values: by share, by cube root of the density, even, then drawn."""
    share = (np.arange(count) + 0.5) / count
    gap = np.gradient(points.at) if points.at.size > 1 else np.ones(1)
    rules = [points.weight, np.cbrt(points.weight * gap**2)]  # the latter is Panter and Dite's
    found = [_quantiles(points.at, rule, share) for rule in rules]
    low, high = _quantiles(points.at, points.weight, np.array([1e-3, 1 - 1e-3]))
    found.append(low + (high - low) * share)
    yield from found[:most]
    random = np.random.default_rng(seed)
    for _ in range(most - len(found)):
        yield _quantiles(points.at, points.weight, np.sort(random.random(count)))


def _quantiles(at: np.ndarray, weight: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The values below which these shares of the weight lie."""
    sums = np.cumsum(weight)
    return np.interp(shares * sums[-1], sums - 0.5 * weight, at)


def _alternated(points: Points, values: np.ndarray, ends: Ends) -> np.ndarray:
    """Lloyd's rounds from one start until no value moves; an empty cell goes where it hurts."""
    span = points.at[-1] - points.at[0]
    values = _held(values, ends)
    for _ in range(MOST_ROUNDS):
        cuts = np.searchsorted(points.at, 0.5 * (values[:-1] + values[1:]))
        cuts = np.concatenate([[0], cuts, [points.at.size]])
        weight, first, _ = np.diff(points.sums[:, cuts])
        better = np.where(
            weight > 0, first / np.where(weight > 0, weight, 1) + points.middle, values
        )
        empty = weight == 0
        if empty[1:-1].any() or (empty[0] and ends[0] is None) or (empty[-1] and ends[1] is None):
            lost = points.weight * (points.at - values[np.repeat(np.arange(values.size),
                                                                 np.diff(cuts))]) ** 2  # fmt: skip
            better[empty] = points.at[np.argsort(-lost)[: empty.sum()]]
        better = _held(np.sort(better), ends)
        if np.abs(better - values).max() <= 1e-9 * span:
            break
        values = better
    return better


def _exchanged(points: Points, values: np.ndarray, ends: Ends) -> np.ndarray:
    """Values, the least useful of which is moved into the worst cell as long as that helps."""
    least = points.error(values)
    for _ in range(values.size if values.size > 2 else 0):
        near = np.searchsorted(0.5 * (values[:-1] + values[1:]), points.at)
        lost = points.weight * (points.at - values[near]) ** 2
        worst = np.bincount(near, lost, values.size).argmax()
        left = [points.error(np.delete(values, i)) for i in range(1, values.size - 1)]
        inside = points.at[near == worst]
        pair = np.quantile(inside, (0.25, 0.75))
        kept = np.delete(values, np.unique([worst, 1 + int(np.argmin(left))]))
        moved = np.unique(np.concatenate([kept, pair]))
        if moved.size != values.size:
            break
        moved = _alternated(points, moved, ends)
        if points.error(moved) >= least:
            break
        values, least = moved, points.error(moved)
    return values


def _held(values: np.ndarray, ends: Ends) -> np.ndarray:
    """Values between the ends that are held, which replace the first and the last."""
    low, high = ends
    values = np.clip(values, low, high) if ends != FREE else values
    if low is not None:
        values[0] = low
    if high is not None:
        values[-1] = high
    return values


def _optimal(points: Points, count: int, ends: Ends) -> np.ndarray:
    """The values of the least error: cuts by dynamic programming, then the mean of each cell."""
    n, (low, high) = points.at.size, ends
    everything = np.arange(n + 1)
    best = _cost(points, np.zeros(n + 1, int), everything, low)
    best[0] = np.inf if low is None else 0.0
    chosen = []
    for _ in range(count - 1 if high is None else count - 2):
        best, begins = _layer(points, best)
        chosen.append(begins)
    cuts = [n]
    if high is not None:
        cuts.append(int(np.argmin(best + _cost(points, everything, np.full(n + 1, n), high))))
    for begins in reversed(chosen):
        cuts.append(int(begins[cuts[-1]]))
    ascending = np.array([0, *cuts[::-1]])
    weight, first, _ = np.diff(points.sums[:, ascending])
    return _held(points.middle + first / np.where(weight > 0, weight, 1), ends)


def _layer(points: Points, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each end, the least error with one cell more, and where that cell begins.

    The beginnings ascend with the ends, so those of the middle bound both halves; all halves of
    one depth are done together.
    """
    n = points.at.size
    best, begins = np.full(n + 1, np.inf), np.zeros(n + 1, int)
    first, last, low, high = (np.array([v]) for v in (1, n, 0, n - 1))
    while first.size:
        middle = (first + last) // 2
        sizes = np.minimum(middle - 1, high) - low + 1
        starts = np.cumsum(sizes) - sizes
        i = np.arange(sizes.sum()) - np.repeat(starts - low, sizes)
        error = before[i] + _cost(points, i, np.repeat(middle, sizes))
        best[middle] = np.minimum.reduceat(error, starts)
        hits = np.flatnonzero(error == np.repeat(best[middle], sizes))
        at = begins[middle] = i[hits[np.searchsorted(hits, starts)]]
        first, last = np.concatenate([[first, middle - 1], [middle + 1, last]], axis=1)
        low, high = np.concatenate([[low, at], [at, high]], axis=1)
        kept = first <= last
        first, last, low, high = first[kept], last[kept], low[kept], high[kept]
    return best, begins


def _cost(points: Points, i: np.ndarray, j: np.ndarray, held: float | None = None) -> np.ndarray:
    """The squared error of points i to j - 1 under one value: their mean, or the one held."""
    weight, first, second = points.sums[:, j] - points.sums[:, i]
    if held is not None:
        held -= points.middle
        return np.maximum(second - 2 * held * first + held**2 * weight, 0)
    return np.maximum(second - first**2 / np.where(weight > 0, weight, 1), 0)
