"""Symmetric densities with closed-form partial moments: what expected errors are computed from.

Kuzmin et al. 2022 ("FP8 Quantization: The Power of the Exponent") and van Baalen et al. 2023 ("FP8
versus INT8 for efficient deep learning inference") compare formats on the first of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import WorkbenchError

Moments = tuple[np.ndarray, np.ndarray, np.ndarray]


class Density:
    """A density symmetric about zero, known by its moments over the tail from x on.

    Every integral over a cell is a difference of two tails on the cell's own side of zero, which
    keeps its relative accuracy far out, where a difference of two probabilities near 1 would not.
    """

    def __post_init__(self):
        """Refuse a parameter that is not a positive finite number."""
        for name, value in vars(self).items():
            if value is not None and not 0 < value < math.inf:
                passed = f"{type(self).__name__}({name}={value})"
                raise WorkbenchError(passed, f"{name} is positive and finite", f"write {name}=1.0")

    @property
    def name(self) -> str:
        """What a table calls it."""
        return type(self).__name__.lower()

    @property
    def support(self) -> float:
        """The largest possible magnitude; infinite where there is none."""
        return math.inf

    def pdf(self, x) -> np.ndarray:
        """The density at every x, float64; point masses are not in it."""
        raise NotImplementedError

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """`n` independent values, float64 `(n,)`; one seed always gives the same ones."""
        return self._draw(np.random.default_rng(seed), n)

    def _draw(self, generator: np.random.Generator, n: int) -> np.ndarray:
        raise NotImplementedError

    def tail(self, x: np.ndarray) -> Moments:
        """The integrals of 1, t and t^2 times the density over [x, infinity), x >= 0 and finite."""
        raise NotImplementedError

    @property
    def variance(self) -> float:
        """The mean square."""
        return 2 * float(self.tail(np.zeros(()))[2])

    def partial_moments(self, low, high) -> Moments:
        """The integrals of 1, t and t^2 times the density over every cell from `low` to `high`.

        Args:
            low: lower ends of the cells; may be infinite.
            high: upper ends, not under the lower ones, of a shape that broadcasts with them.

        Returns:
            Float64 arrays m0, m1 and m2; a point mass counts at a cell's end nearer to zero only.

        Example:
            >>> m0, m1, m2 = Uniform(1.0).partial_moments([-1.0, 0.0], [0.0, 0.5])
            >>> m0.tolist(), m1.tolist()
            ([0.5, 0.25], [-0.25, 0.0625])
        """
        low, high = np.broadcast_arrays(np.asarray(low, np.float64), np.asarray(high, np.float64))
        below, above = self._tail_anywhere(np.abs(low)), self._tail_anywhere(np.abs(high))
        across, side = (low < 0) & (high > 0), np.where(high > 0, 1.0, -1.0)
        half = self.tail(np.zeros(()))
        m0, m2 = (
            np.where(across, 2 * half[k] - below[k] - above[k], side * (below[k] - above[k]))
            for k in (0, 2)
        )
        return m0, below[1] - above[1], m2

    def _tail_anywhere(self, x: np.ndarray) -> Moments:
        """The tails at x >= 0, which are zero at infinity."""
        finite = np.isfinite(x)
        zeroth, first, second = (
            np.where(finite, moment, 0.0) for moment in self.tail(np.where(finite, x, 0.0))
        )
        return zeroth, first, second


@dataclass(frozen=True)
class Uniform(Density):
    """Even between -half_width and +half_width.

    Example:
        >>> round(Uniform(3.0).variance, 6)
        3.0
    """

    half_width: float = 1.0

    @property
    def support(self) -> float:
        """The half width."""
        return self.half_width

    def pdf(self, x) -> np.ndarray:
        """1 / (2 half_width) inside, 0 outside."""
        return np.where(np.abs(x) <= self.half_width, 0.5 / self.half_width, 0.0)

    def _draw(self, generator: np.random.Generator, n: int) -> np.ndarray:
        return generator.uniform(-self.half_width, self.half_width, n)

    def tail(self, x: np.ndarray) -> Moments:
        """Powers of the ends."""
        h = self.half_width
        left = np.maximum(h - x, 0.0)  # factored out: h^2 - x^2 would cancel near the end
        return left / (2 * h), left * (h + x) / (4 * h), left * (h * h + h * x + x * x) / (6 * h)


@dataclass(frozen=True)
class Gaussian(Density):
    """Normal with standard deviation sigma.

    Example:
        >>> m0, m1, m2 = Gaussian().partial_moments(10.0, np.inf)
        >>> f"{m0:.4g}"
        '7.62e-24'
    """

    sigma: float = 1.0

    def pdf(self, x) -> np.ndarray:
        """The normal density."""
        z = np.asarray(x, np.float64) / self.sigma
        return np.exp(-0.5 * z * z) / (math.sqrt(2 * math.pi) * self.sigma)

    def _draw(self, generator: np.random.Generator, n: int) -> np.ndarray:
        return generator.normal(0, self.sigma, n)

    def tail(self, x: np.ndarray) -> Moments:
        """By parts: the second moment is x times the first plus sigma^2 times the probability."""
        from scipy.special import ndtr

        zeroth = ndtr(-x / self.sigma)
        first = self.sigma**2 * self.pdf(x)
        return zeroth, first, x * first + self.sigma**2 * zeroth


@dataclass(frozen=True)
class Laplace(Density):
    """Two-sided exponential: exp(-|x| / scale) / (2 scale).

    Example:
        >>> Laplace(2.0).variance
        8.0
    """

    scale: float = 1.0

    def pdf(self, x) -> np.ndarray:
        """The exponential of -|x| / scale, over twice the scale."""
        return np.exp(-np.abs(x) / self.scale) / (2 * self.scale)

    def _draw(self, generator: np.random.Generator, n: int) -> np.ndarray:
        return generator.laplace(0, self.scale, n)

    def tail(self, x: np.ndarray) -> Moments:
        """Polynomials times the exponential."""
        b = self.scale
        zeroth = 0.5 * np.exp(-x / b)
        return zeroth, zeroth * (x + b), zeroth * (x * x + 2 * b * x + 2 * b * b)


@dataclass(frozen=True)
class StudentT(Density):
    """Student's t with `nu` > 2 degrees of freedom: the smaller nu, the heavier the tails.

    Args:
        nu: degrees of freedom; below 3 the variance is slow to converge in any sample.
        limit: magnitudes beyond it become it, so that its two ends hold point masses; None: none.

    Example:
        >>> StudentT(4.0).variance, round(StudentT(4.0, limit=100.0).variance, 4)
        (2.0, 1.9994)
    """

    nu: float
    limit: float | None = None

    def __post_init__(self):
        if not 2 < self.nu < math.inf:
            raise WorkbenchError(
                f"StudentT({self.nu})",
                "the variance is finite above 2 degrees of freedom",
                "write StudentT(3) or more, or Gaussian() for the limit of many",
            )
        super().__post_init__()

    @property
    def name(self) -> str:
        """`t(nu)`, with its degrees of freedom."""
        return f"t({self.nu:g})"

    @property
    def support(self) -> float:
        """The limit."""
        return math.inf if self.limit is None else self.limit

    def pdf(self, x) -> np.ndarray:
        """The density inside the limit, without the point masses at its ends."""
        x = np.asarray(x, np.float64)
        return np.where(np.abs(x) < self.support, self._density(x), 0.0)

    def _density(self, x: np.ndarray) -> np.ndarray:
        root = math.exp(math.lgamma((self.nu + 1) / 2) - math.lgamma(self.nu / 2))
        return root / math.sqrt(math.pi * self.nu) * (1 + x * x / self.nu) ** (-(self.nu + 1) / 2)

    def _draw(self, generator: np.random.Generator, n: int) -> np.ndarray:
        return np.clip(generator.standard_t(self.nu, n), -self.support, self.support)

    def tail(self, x: np.ndarray) -> Moments:
        """The tail of the unlimited density, what lies beyond the limit moved onto it."""
        moments = self._whole_tail(x)
        if self.limit is None:
            return moments
        beyond = self._whole_tail(np.asarray(self.limit))
        zeroth, first, second = (
            np.where(x <= self.limit, m - b + self.limit**k * beyond[0], 0.0)
            for k, (m, b) in enumerate(zip(moments, beyond, strict=True))
        )
        return zeroth, first, second

    def _whole_tail(self, x: np.ndarray) -> Moments:
        """By parts from (nu + x^2) f / (1 - nu), an antiderivative of x f; no term is negative."""
        from scipy.special import stdtr

        zeroth = stdtr(self.nu, -x)
        first = (self.nu + x * x) / (self.nu - 1) * self._density(x)
        return zeroth, first, (x * first * (self.nu - 1) + self.nu * zeroth) / (self.nu - 2)


@dataclass(frozen=True)
class Mixture(Density):
    """A value comes from one of several densities, each with its weight.

    Args:
        weights: positive, in any unit; they are divided by their sum.
        parts: as many densities.

    Example:
        >>> Mixture((0.99, 0.01), (Gaussian(1.0), Gaussian(10.0))).variance
        1.99
    """

    weights: tuple[float, ...]
    parts: tuple[Density, ...]

    def __init__(self, weights: Sequence[float], parts: Sequence[Density]):
        if len(weights) != len(parts) or not parts or not min(weights) > 0:
            raise WorkbenchError(
                f"weights {tuple(weights)} for {len(parts)} parts",
                "every part has one positive weight",
                "write Mixture((0.99, 0.01), (Gaussian(1), Gaussian(10)))",
            )
        object.__setattr__(self, "weights", tuple(w / math.fsum(weights) for w in weights))
        object.__setattr__(self, "parts", tuple(parts))

    @property
    def name(self) -> str:
        """The parts with their weights: `0.99 gaussian + 0.01 gaussian`."""
        shares = zip(self.weights, self.parts, strict=True)
        return " + ".join(f"{weight:.3g} {part.name}" for weight, part in shares)

    @property
    def support(self) -> float:
        """That of the widest part."""
        return max(part.support for part in self.parts)

    def pdf(self, x) -> np.ndarray:
        """The weighted sum of the densities."""
        return np.tensordot(self.weights, [part.pdf(x) for part in self.parts], 1)

    def _draw(self, generator: np.random.Generator, n: int) -> np.ndarray:
        chosen = generator.choice(len(self.parts), n, p=self.weights)
        drawn = np.stack([part._draw(generator, n) for part in self.parts])
        return drawn[chosen, np.arange(n)]

    def tail(self, x: np.ndarray) -> Moments:
        """The weighted sum of the tails."""
        tails = zip(*(part.tail(x) for part in self.parts), strict=True)
        zeroth, first, second = (np.tensordot(self.weights, moment, 1) for moment in tails)
        return zeroth, first, second
