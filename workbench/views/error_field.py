"""Where the error of a scheme lies: over the values it fell on, in local steps, by cause.

Everything the error view shows, for all values or for a chosen range, is a sum over this record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from .provenance import mark_of

STEP_BINS = 40
# Signed error in local steps; what lies beyond one step is counted in the two end bins.
STEP_EDGES = np.concatenate([[-np.inf], np.linspace(-1, 1, STEP_BINS + 1)[1:-1], [np.inf]])
CAUSES = ("rounding", "clipping", "underflow")


@dataclass(frozen=True)
class ErrorField:
    """Errors of one scheme on one tensor, by value, by size in local steps, and by cause.

    Args:
        label, family: canonical text and family of the scheme.
        edges: ends of the value bins, ascending float64 `(bins + 1,)`.
        counts: how many values, float64 `(causes, bins, STEP_BINS)`; causes as in `CAUSES`.
        squares: sum of squared errors, float64 `(causes, bins)`.
        energy: sum of squared values, float64 `(bins,)`.
        causes: share of the mean squared error of each cause, adding up to `mse`.
        mse, sqnr, max_error: figures of the whole tensor; `sqnr` in dB.
        bound: half-width in dB of the interval around `sqnr`; 0 where exact, None where unknown.
        provenance: "exact", "sketch" or "sample".
    """

    label: str
    family: str
    edges: np.ndarray = field(repr=False)
    counts: np.ndarray = field(repr=False)
    squares: np.ndarray = field(repr=False)
    energy: np.ndarray = field(repr=False)
    causes: Mapping[str, float]
    mse: float
    sqnr: float
    max_error: float
    bound: float | None = 0.0
    provenance: str = "exact"

    @property
    def mark(self) -> str:
        """The provenance with its bound."""
        return mark_of(self.provenance, self.bound)

    def weights(self, selection: tuple[float, float] | None) -> np.ndarray:
        """The part of each value bin that lies in the chosen range, 0 to 1; all for None.

        A field with one bin does not know where its errors lie, and gives all of them.
        """
        if selection is None or self.edges.size == 2:
            return np.ones(self.edges.size - 1)
        low, high = sorted(selection)
        inside = np.minimum(self.edges[1:], high) - np.maximum(self.edges[:-1], low)
        return np.clip(inside / np.diff(self.edges), 0, 1)

    def shares(self, selection: tuple[float, float] | None = None) -> np.ndarray:
        """Share of the values in each step bin by cause, float64 `(causes, STEP_BINS)`."""
        counts = np.einsum("cvs,v->cs", self.counts, self.weights(selection))
        return counts / max(counts.sum(), 1e-300)

    def budget(self, selection: tuple[float, float] | None = None) -> dict[str, float]:
        """Share of the squared error by cause, adding up to 1 (all 0 where there is no error).

        Over all values these are the `causes` of the figures; in a chosen range, the causes that
        belong to single values.
        """
        if selection is None:
            parts = dict(self.causes)
        else:
            parts = dict(zip(CAUSES, self.squares @ self.weights(selection), strict=True))
        total = sum(parts.values())
        return {cause: part / total if total else 0.0 for cause, part in parts.items()}

    def relative(self) -> tuple[np.ndarray, np.ndarray]:
        """Magnitudes (bin middles) and the root of squared error over squared value there.

        Bins of both signs are added; bins without values are NaN.
        """
        middle = np.sqrt(np.abs(self.edges[:-1] * self.edges[1:]))
        inner = self.edges[:-1] * self.edges[1:] > 0
        size, where = np.unique(np.round(middle[inner], 15), return_inverse=True)
        squares = np.bincount(where, self.squares.sum(0)[inner], size.size)
        energy = np.bincount(where, self.energy[inner], size.size)
        with np.errstate(invalid="ignore", divide="ignore"):
            return size, np.sqrt(squares / energy)

    def __add__(self, other: ErrorField) -> ErrorField:
        """The two tables added; figures of the whole are those of the first."""
        return replace(
            self,
            counts=self.counts + other.counts,
            squares=self.squares + other.squares,
            energy=self.energy + other.energy,
        )


def tabulate(
    values: np.ndarray,
    weights: np.ndarray | None,
    rounded: np.ndarray,
    steps: np.ndarray,
    ends: tuple[Any, Any],
    edges: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, squares and energy of an `ErrorField` from values and what they were rounded to.

    Args:
        values: float `(n,)`.
        rounded: what each became, `(n,)`.
        steps: the local step of the grid at each value, `(n,)`.
        weights: how many values each one stands for, or None for one each.
        ends: smallest and largest value of the grid, numbers or `(n,)`.
        edges: of the value bins; values outside go to the first and the last.

    Example:
        >>> counts, squares, energy = tabulate(
        ...     np.array([0.4, 1.4]), None, np.array([0.0, 1.0]), np.ones(2), (-8, 7),
        ...     np.array([-10.0, 1.0, 10.0]))
        >>> squares.round(3).tolist()
        [[0.0, 0.16], [0.0, 0.0], [0.16, 0.0]]
    """
    if not values.shape == rounded.shape == steps.shape:
        raise WorkbenchError(
            f"shapes {values.shape}, {rounded.shape}, {steps.shape}",
            "each value has one rounded value and one step",
            "pass arrays of one shape",
        )
    bins = edges.size - 1
    error = rounded.astype(np.float64) - values
    cause = np.where((values < ends[0]) | (values > ends[1]), 1, 0)
    cause = np.where((rounded == 0) & (values != 0), 2, cause)
    value_bin = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        in_steps = np.nan_to_num(np.clip(error / steps, -1.0, 1.0), nan=0.0)
    step_bin = np.clip(np.floor((in_steps + 1) * (STEP_BINS / 2)), 0, STEP_BINS - 1).astype(int)
    w = np.ones(values.size) if weights is None else weights
    at = cause * bins + value_bin
    flat = at * STEP_BINS + step_bin
    counts = np.bincount(flat, w, 3 * bins * STEP_BINS).reshape(3, bins, STEP_BINS)
    squares = np.bincount(at, w * error**2, 3 * bins).reshape(3, bins)
    return counts, squares, np.bincount(value_bin, w * values.astype(np.float64) ** 2, bins)
