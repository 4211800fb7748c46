"""Bins of magnitudes with their moments, and their squared error under a ladder of values."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..kernels.moments import WORST, bin_errors, cut_bins
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

    def taken(self, which: np.ndarray) -> Cells:
        """Some of the bins."""
        names = ("low", "width", "side", "moments", "count")
        return Cells(*(getattr(self, name)[which] for name in names))

    def joined(self, other: Cells) -> Cells:
        """These bins and others."""
        names = ("low", "width", "side", "moments", "count")
        return Cells(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))

    def errors(self, ladder: Ladder, scale: float | np.ndarray) -> np.ndarray:
        """What `kernels.moments.bin_errors` gives for these bins under one scale, or one each."""
        scale = np.atleast_1d(np.asarray(scale, np.float64))
        return bin_errors(self.low, self.width, self.side, self.moments, scale, ladder)

    def pieces(self, ladder: Ladder, scale: float | np.ndarray) -> np.ndarray:
        """What `kernels.moments.cut_bins` gives: the bins, cut where their rounding changes."""
        scale = np.atleast_1d(np.asarray(scale, np.float64))
        return cut_bins(self.low, self.width, self.side, scale, ladder)


class Estimate(NamedTuple):
    """Sums over all bins: squared error by cause, its bounds, and one value's largest error."""

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


def estimate(
    errors: np.ndarray, plain: np.ndarray | None = None, place: np.ndarray | None = None
) -> Estimate:
    """Sums of `Cells.errors`.

    Args:
        errors: (bins, 6).
        plain: the squared error of bins under unrounded scales.
        place: the bin in `errors` that each of `plain` is a part of; None where they are the same.

    Example:
        >>> estimate(np.array([[1.0, 0, 0, 1, 1, 0.5]]), np.array([0.75])).scale
        0.25
    """
    rounding, clipping, underflow, lower, upper, _ = (float(v) for v in errors.sum(axis=0))
    unrounded = rounding
    if plain is not None:
        total = total_of(errors)
        share = np.divide(errors[:, 0], total, out=np.ones(total.size), where=total > 0)
        unrounded = float((plain * (share if place is None else share[place])).sum())
    worst = float(errors[:, WORST].max(initial=0))
    return Estimate(unrounded, clipping, underflow, rounding - unrounded, lower, upper, worst)


def total_of(errors: np.ndarray) -> np.ndarray:
    """The squared error of each bin, of all causes.

    Example:
        >>> total_of(np.array([[1.0, 2.0, 3.0, 0, 0, 0]]))
        array([6.])
    """
    return errors[:, 0] + errors[:, 1] + errors[:, 2]
