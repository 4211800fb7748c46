"""Bins of magnitudes with their moments, and the squared error they have under a ladder of values."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..kernels.moments import LOWER, UPPER, WORST, bin_errors, cut_bins
from .ladder import Ladder


@dataclass(frozen=True, eq=False)
class Cells:
    """Bins of magnitudes, all of one sign each.

    Args:
        low, width: lower edges and widths, float64.
        side: 0 positive, 1 negative values, int64.
        moments: (bins, 3) float64: weight, and the weighted sums of (|x| - low) and its square.
        count: values in each bin, float64.
    """

    low: np.ndarray = field(repr=False)
    width: np.ndarray = field(repr=False)
    side: np.ndarray = field(repr=False)
    moments: np.ndarray = field(repr=False)
    count: np.ndarray = field(repr=False)

    @cached_property
    def energies(self) -> np.ndarray:
        """The weighted sum of squares of each bin."""
        weight, first, second = self.moments.T
        return weight * self.low * self.low + 2 * self.low * first + second

    @cached_property
    def energy(self) -> float:
        """The weighted sum of squares of all bins."""
        return float(self.energies.sum())

    def errors(self, ladder: Ladder, scale: float | np.ndarray) -> np.ndarray:
        """What `kernels.moments.bin_errors` gives for these bins under one scale, or one each."""
        scale = np.atleast_1d(np.asarray(scale, np.float64))
        return bin_errors(self.low, self.width, self.side, self.moments, scale, ladder)

    def pieces(self, ladder: Ladder, scale: float | np.ndarray) -> np.ndarray:
        """What `kernels.moments.cut_bins` gives: the bins, cut where their rounding changes."""
        scale = np.atleast_1d(np.asarray(scale, np.float64))
        return cut_bins(self.low, self.width, self.side, scale, ladder)


class Estimate(NamedTuple):
    """Sums over all bins: squared error by cause, its bounds, and the largest error of one value."""

    rounding: float
    clipping: float
    underflow: float
    scale: float
    lower: float
    upper: float
    worst: float

    @property
    def total(self) -> float:
        """The squared error of all causes."""
        return self.rounding + self.clipping + self.underflow + self.scale


def estimate(errors: np.ndarray, plain: np.ndarray | None = None) -> Estimate:
    """Sums of `Cells.errors`; `plain` has each bin's squared error under unrounded scales.

    Example:
        >>> estimate(np.array([[1.0, 0, 0, 1, 1, 0.5]]), np.array([0.75])).scale
        0.25
    """
    rounding, clipping, underflow = (float(v) for v in errors[:, :3].sum(axis=0))
    unrounded = rounding
    if plain is not None:
        total = errors[:, :3].sum(axis=1)
        share = np.divide(errors[:, 0], total, out=(plain > 0).astype(float), where=total > 0)
        unrounded = float((plain * share).sum())
    lower, upper = float(errors[:, LOWER].sum()), float(errors[:, UPPER].sum())
    worst = float(errors[:, WORST].max(initial=0))
    return Estimate(unrounded, clipping, underflow, rounding - unrounded, lower, upper, worst)
