"""The weighted points that a codebook is made for: values with how much each of them counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels import arrays

MOST_POINTS = 8192


@dataclass(frozen=True, eq=False)
class Points:
    """Distinct ascending values with positive weights, at most about `MOST_POINTS` of them.

    Example:
        >>> points = Points.of(np.array([1.0, 3.0, 1.0]))
        >>> points.at, points.weight, points.error([1.0])
        (array([1., 3.]), array([2., 1.]), 4.0)
    """

    at: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, x: Any, weights: Any = None) -> Points:
        """The points of an array or tensor, or of anything with `bins()`, such as a sketch.

        Args:
            x: values of any shape, or an object whose `bins()` gives lower ends, upper ends and
                counts. Values that are not finite are left out.
            weights: a weight not below 0 for each value; None for one each.

        Nothing finite, or weights that do not fit, raises `WorkbenchError`.
        """
        if hasattr(x, "bins"):
            low, high, weights = x.bins()
            x = 0.5 * (low + high)
        values = np.asarray(arrays.to_numpy(x), np.float64).reshape(-1)
        each = np.ones(values.size) if weights is None else np.asarray(weights, np.float64).ravel()
        _check_weights(values, each)
        kept = np.isfinite(values) & (each > 0)
        if not kept.any():
            raise WorkbenchError(
                f"{values.size} values", "none of them is finite and has a weight",
                "pass an array with finite values",
            )  # fmt: skip
        return cls(*_merged(values[kept], each[kept]))

    @cached_property
    def middle(self) -> float:
        """The weighted mean, about which sums are taken so that they cancel little."""
        return float(np.average(self.at, weights=self.weight))

    @cached_property
    def sums(self) -> np.ndarray:
        """Running sums of weight, weighted distance from `middle` and its square, `(3, n + 1)`."""
        x = self.at - self.middle
        moments = self.weight * np.stack([np.ones(x.size), x, x * x])
        return np.concatenate([np.zeros((3, 1)), np.cumsum(moments, axis=1)], axis=1)

    def error(self, values: Any) -> float:
        """The weighted squared error of rounding each point to the nearest of ascending values."""
        values = np.asarray(values, np.float64)
        near = np.searchsorted(0.5 * (values[:-1] + values[1:]), self.at)
        return float((self.weight * (self.at - values[near]) ** 2).sum())


def _check_weights(values: np.ndarray, weights: np.ndarray) -> None:
    if weights.size != values.size:
        raise WorkbenchError(
            f"{weights.size} weights for {values.size} values", "each value has one weight",
            "pass arrays of one size",
        )  # fmt: skip
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise WorkbenchError(
            "weights", "they are finite and not negative", "pass counts or squares of scales"
        )


def _merged(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values with added weights; where there are too many, the means of narrow bins."""
    at, place = np.unique(values, return_inverse=True)
    weight = np.bincount(place, weights)
    if at.size <= MOST_POINTS:
        return at, weight
    half = MOST_POINTS // 2
    ranks = at[np.linspace(0, at.size - 1, half + 1).astype(int)]
    edges = np.union1d(ranks, np.linspace(at[0], at[-1], half))[1:-1]
    place = np.searchsorted(edges, at, side="right")
    total = np.bincount(place, weight)
    mean = np.bincount(place, weight * at) / np.where(total > 0, total, 1)
    return mean[total > 0], total[total > 0]
