"""Layers grouped by how sensitive they are, a width for each group.

Source: CPTQuant (Nanda et al., 2024): k-means of the sensitivities with as many groups as there are
widths. How it starts k-means is not published; figures on a line have one best grouping, which is
found here without starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import WorkbenchError


def clustered(sensitivities: Mapping[str, float], widths: Sequence[Any]) -> dict[str, Any]:
    """A width for every layer: the more sensitive its group, the wider.

    Args:
        sensitivities: a finite figure for each layer, higher where it is damaged more.
        widths: from narrow to wide, as many as there are to be groups.

    Fewer different sensitivities than widths, or one that is not finite, raise `WorkbenchError`.

    Example:
        >>> found = {"a": 0.1, "b": 0.12, "c": 0.5, "d": 0.9, "e": 0.95}
        >>> clustered(found, (4, 8, 16))
        {'a': 4, 'b': 4, 'c': 8, 'd': 16, 'e': 16}
    """
    values = np.array(list(sensitivities.values()), np.float64)
    if not values.size:
        raise WorkbenchError("sensitivities of no layers", "no group has any", "measure a layer")
    if not np.isfinite(values).all():
        bad = next(name for name, one in sensitivities.items() if not np.isfinite(one))
        raise WorkbenchError(
            f"{bad}: {sensitivities[bad]}", "it belongs to no group", "measure that layer again"
        )
    different, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    if not widths or different.size < len(widths):
        raise WorkbenchError(
            f"{len(widths)} widths for {different.size} different sensitivities",
            "each width has a group of layers", f"give 1 to {different.size} widths",
        )  # fmt: skip
    groups = best_groups(different, counts, len(widths))[places]
    return {name: widths[group] for name, group in zip(sensitivities, groups, strict=True)}


def best_groups(values: np.ndarray, counts: np.ndarray, count: int) -> np.ndarray:
    """The group of each value, from 0, with the least sum of squared distances to group means.

    Args:
        values: float64 (n,), ascending and different.
        counts: (n,), how often each occurs.
        count: of groups, at most n.

    Example:
        >>> best_groups(np.array([0.0, 1.0, 5.0, 6.0]), np.ones(4), 2).tolist()
        [0, 0, 1, 1]
    """
    spread = _spreads(values - values.mean(), counts)
    least, cuts = spread[0], []  # of the first values in groups so far, by how many they are
    for _ in range(count - 1):
        before = np.concatenate([[np.inf], least[:-1]])  # with a new group from each value on
        total = before[:, None] + spread
        cuts.append(total.argmin(axis=0))
        least = total.min(axis=0)
    starts, last = [], values.size - 1
    for cut in reversed(cuts):
        starts.append(cut[last])
        last = cut[last] - 1
    return np.searchsorted(sorted(starts), np.arange(values.size), side="right")


def _spreads(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The squared distances of values i to j from their mean, [i, j]; infinite where j < i."""
    sums = (np.cumsum(counts * values**power) for power in (0, 1, 2))
    each, total, squares = (s - np.concatenate([[0], s[:-1]])[:, None] for s in sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = squares - total**2 / each
    return np.where(np.triu(np.ones_like(spread)) > 0, spread, np.inf)
