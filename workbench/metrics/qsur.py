"""Quantization space utilisation rate (QSUR): how much of the quantizer's cube the data fill.

Hu et al. 2025 ("OSTQuant: Refining Large Language Model Quantization with Orthogonal and Scaling
Transformations for Better Distribution Fitting") take the data as Gaussian: the volume of the
ellipsoid that holds a share `level` of it, over that of the cube whose edge is the range over all
channels. Such volumes underflow from some 60 channels on, so every ratio is kept as a logarithm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from .covariances import checked_covariance, checked_mean, log_determinant, moments

LEVEL = 0.99


@dataclass(frozen=True)
class Qsur:
    """A ratio of volumes in `dimension` channels, kept as its natural logarithm.

    Args:
        ln: natural logarithm of the ratio.
        dimension: how many channels the volumes have, at least 1.

    Example:
        >>> half = Qsur(math.log(0.25), 2)
        >>> half.ratio, half.log2, half.per_channel
        (0.25, -2.0, 0.5)
    """

    ln: float
    dimension: int

    @property
    def log2(self) -> float:
        """The logarithm to base two."""
        return self.ln / math.log(2)

    @property
    def ratio(self) -> float:
        """The ratio itself; 0 where it is under the smallest float64."""
        return math.exp(self.ln)

    @property
    def per_channel(self) -> float:
        """The `dimension`-th root: the share of its range that a channel fills, on average."""
        return math.exp(self.ln / self.dimension)

    def bits_under(self, other: Qsur) -> float:
        """Bits a channel that `other` makes more of: log2 of the two `per_channel` shares' ratio.

        Example:
            >>> round(Qsur(math.log(0.25), 2).bits_under(Qsur(0.0, 2)), 6)
            1.0
        """
        if other.dimension != self.dimension:
            raise WorkbenchError(
                f"ratios of {self.dimension} and {other.dimension} channels",
                "their volumes are of different dimensions",
                "compare ratios of one layer",
            )
        return (other.log2 - self.log2) / self.dimension


def qsur(covariance: Any, mean: Any = None, level: float = LEVEL) -> Qsur:
    """The exact ratio of ellipsoid and cube; with equal means it does not depend on the level.

    Channel j of the ellipsoid reaches from mean_j - h_j to mean_j + h_j with
    h_j = sqrt(chi2 covariance_jj); the cube's edge is the largest such end minus the smallest.

    Args:
        covariance: symmetric positive definite float `(channels, channels)`.
        mean: float `(channels,)`, in the unit of the data; None for zero.
        level: the share of a Gaussian that the ellipsoid holds, between 0 and 1.

    A covariance that is singular, not square or not finite raises `WorkbenchError`.

    Source: Hu et al. 2025, section 3, with the box of the ellipsoid in place of an axis's end.

    Example:
        >>> round(qsur(np.diag([4.0, 1.0])).ratio, 6) == round(math.pi / 8, 6)
        True
    """
    covariance = checked_covariance(covariance)
    mean = checked_mean(mean, covariance.shape[0])
    radius = ellipsoid_radius(level, mean.size)
    half = radius * np.sqrt(np.diag(covariance))
    edge = float((mean + half).max() - (mean - half).min())
    return _of_box(log_determinant(covariance), mean.size, edge / radius)


def qsur_of(x: Any, level: float = LEVEL) -> Qsur:
    """The exact ratio of data, by their mean and covariance.

    Args:
        x: floats `(rows, channels)`, all axes before the last being rows; more rows than channels.
        level: the share of a Gaussian that the ellipsoid holds, between 0 and 1.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((100_000, 2)) * [2.0, 1.0]
        >>> round(qsur_of(x).ratio, 2)
        0.39
    """
    mean, covariance = moments(x)
    return qsur(covariance, mean, level)


def published_qsur(covariance: Any) -> Qsur:
    """The published approximation, whose cube ends at the end of the longest principal axis.

    Other axes may reach further in a channel than the longest one does, so it is never under the
    exact ratio of zero mean, and can exceed 1. Where several directions share the largest variance
    to a part in 10^9, the one that reaches furthest in some channel is taken.

    Args:
        covariance: symmetric positive definite float `(channels, channels)`.

    Source: Hu et al. 2025, section 3.

    Example:
        >>> round(published_qsur(np.diag([4.0, 1.0])).ratio, 6) == round(math.pi / 8, 6)
        True
    """
    covariance = checked_covariance(covariance)
    variances, axes = np.linalg.eigh(covariance)
    longest = axes[:, variances >= variances[-1] * (1 - 1e-9)]
    reach = math.sqrt(variances[-1] * float((longest**2).sum(axis=1).max()))
    return _of_box(log_determinant(covariance), variances.size, 2 * reach)


def best_by_both(channels: int) -> Qsur:
    """The ratio of a ball and its cube: the most that any invertible transform attains.

    By Hadamard's inequality det S <= prod S_jj <= (max S_jj)^channels, with equality for multiples
    of the identity only.

    Example:
        >>> round(best_by_both(2).ratio, 6) == round(math.pi / 4, 6)
        True
    """
    if channels < 1:
        raise WorkbenchError(f"{channels} channels", "a volume has one at least", "write 1 or more")
    half = channels / 2
    ln = half * math.log(math.pi) - math.lgamma(half + 1) - channels * math.log(2)
    return Qsur(ln, int(channels))


def best_by_rotation(covariance: Any) -> Qsur:
    """The most that a rotation attains: ball over cube times (GM / AM)^(channels / 2).

    GM and AM are the geometric and arithmetic mean of the eigenvalues. A rotation keeps both and
    can make all diagonal entries equal to AM (Schur and Horn), as `spreading_rotation` does.

    Args:
        covariance: symmetric positive definite float `(channels, channels)`; the mean is zero.

    Example:
        >>> round(best_by_rotation(np.diag([4.0, 1.0])).ratio, 6) == round(math.pi / 5, 6)
        True
    """
    covariance = checked_covariance(covariance)
    channels = covariance.shape[0]
    edge = 2 * math.sqrt(np.trace(covariance) / channels)
    return _of_box(log_determinant(covariance), channels, edge)


def best_by_scaling(covariance: Any) -> Qsur:
    """The most that a scale for each channel attains: ball over cube times sqrt(det correlation).

    Any channel narrower than the widest one can be widened without the cube growing, so all are
    equally wide at the best, as `equalizing_scales` makes them.

    Args:
        covariance: symmetric positive definite float `(channels, channels)`; the mean is zero.

    Example:
        >>> round(best_by_scaling([[4.0, 1.2], [1.2, 1.0]]).ratio / best_by_both(2).ratio, 6)
        0.8
    """
    covariance = checked_covariance(covariance)
    variances = np.diag(covariance)
    ln = log_determinant(covariance) - float(np.log(variances).sum())
    return _of_box(ln, variances.size, 2.0)


def ellipsoid_radius(level: float, channels: int) -> float:
    """The root of the chi-square quantile: how many deviations the ellipsoid is wide.

    Args:
        level: the share of a Gaussian inside, between 0 and 1, both left out.
        channels: degrees of freedom, at least 1.

    Example:
        >>> round(ellipsoid_radius(0.99, 2), 3)
        3.035
    """
    from scipy.special import gammaincinv

    if not 0 < level < 1:
        raise WorkbenchError(
            f"a level of {level}", "an ellipsoid holds a share between 0 and 1", "write 0.99"
        )
    return math.sqrt(2 * float(gammaincinv(channels / 2, level)))


def _of_box(log_det: float, channels: int, edge: float) -> Qsur:
    """The ratio for a cube of that edge, in units of the ellipsoid's radius."""
    ln = best_by_both(channels).ln + 0.5 * log_det - channels * math.log(edge / 2)
    return Qsur(ln, channels)
