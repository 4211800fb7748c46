"""How loss falls with bits: a fitted law with its intervals, and sizes in total bits.

Source: the power laws of scaling studies, with bits a weight in the place of parameters; total bits
as in Dettmers and Zettlemoyer, 2023, and Ding et al., 2025, for models of several sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import WorkbenchError

EXPONENTS = np.geomspace(0.01, 32, 120)  # the best of these is what a fit begins with


@dataclass(frozen=True)
class ScalingLaw:
    """loss = a * bits^-b + c, with 95 % intervals of its figures.

    Attributes:
        a: by how much one bit loses more than many.
        b: the exponent.
        c: the loss that is left with many bits.
        intervals: (low, high) of a, b and c, from the fit's own spread; infinite where three
            points leave none.
        spread: the standard deviation of losses about the law.
        range: the fewest and the most bits of the data; beyond them it is extrapolation.

    Example:
        >>> law = fit_scaling([2, 3, 4, 6, 8], [1 + 3 * bits**-2.5 for bits in (2, 3, 4, 6, 8)])
        >>> round(law.b, 3), round(float(law.loss(5)), 4), law.range
        (2.5, 1.0537, (2.0, 8.0))
    """

    a: float
    b: float
    c: float
    intervals: tuple[tuple[float, float], ...]
    spread: float
    range: tuple[float, float]

    def loss(self, bits: Any) -> np.ndarray:
        """The law at some bits, above 0, float64."""
        return self.a * np.asarray(bits, np.float64) ** -self.b + self.c

    def bits(self, loss: float) -> float:
        """The bits that a loss takes; one that the law never reaches is a `WorkbenchError`."""
        if not loss > self.c or not self.a > 0:
            raise WorkbenchError(
                f"a loss of {loss:g}", f"with any number of bits it stays above {self.c:g}",
                "ask for a larger loss",
            )  # fmt: skip
        return float((self.a / (loss - self.c)) ** (1 / self.b))


def fit_scaling(bits: Sequence[float], losses: Sequence[float]) -> ScalingLaw:
    """The law of least squared error through some losses.

    Args:
        bits: above 0, three different ones or more.
        losses: finite, one for each.

    What cannot be fitted raises `WorkbenchError`.
    """
    from scipy.optimize import least_squares
    from scipy.stats import t

    x, y = np.asarray(bits, np.float64), np.asarray(losses, np.float64)
    _check(x, y)
    unit, most = float(x.min()), float(np.ptp(y))  # so that all figures are near 1
    u, v = x / unit, y / most
    found = least_squares(lambda p: p[0] * u ** -p[1] + p[2] - v, _start(u, v), xtol=1e-15,
                          ftol=1e-15, gtol=1e-15)  # fmt: skip
    a, b, c = found.x
    if not (a > 0 and b > 0):
        raise WorkbenchError(
            "losses that do not fall with bits", "the law falls", "look for what went wrong there"
        )
    left = x.size - 3
    spread = float(np.sqrt(2 * found.cost / left)) if left else np.inf
    size = most * unit**b
    back = np.array([[size, a * size * np.log(unit), 0], [0, 1, 0], [0, 0, most]])
    covariance = back @ np.linalg.pinv(found.jac.T @ found.jac) @ back.T
    reach = t.ppf(0.975, max(left, 1)) * spread * np.sqrt(np.diag(covariance))
    ends = [
        (float(p - r), float(p + r)) for p, r in zip((a * size, b, most * c), reach, strict=True)
    ]
    return ScalingLaw(
        float(a * size), float(b), float(most * c), tuple(ends), most * spread if left else 0.0,
        (unit, float(x.max())),
    )  # fmt: skip


def _start(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The best of some exponents, each with the factor and the rest that suit it."""
    tried = []
    for exponent in EXPONENTS:
        basis = np.stack([u**-exponent, np.ones_like(u)], axis=1)
        (factor, rest), *_ = np.linalg.lstsq(basis, v)
        error = float(((basis @ (factor, rest) - v) ** 2).sum())
        tried.append((error, np.array([factor, exponent, rest])))
    return min(tried, key=lambda one: one[0])[1]


def _check(x: np.ndarray, y: np.ndarray) -> None:
    """Refuse what no law of three figures goes through."""
    if x.shape != y.shape or x.ndim != 1 or len(np.unique(x)) < 3:
        raise WorkbenchError(
            f"{x.size} bits and {y.size} losses", "a law of three figures takes three bits or more",
            "measure at 2, 3, 4, 6 and 8 bits",
        )  # fmt: skip
    if np.ptp(y) == 0:
        raise WorkbenchError("losses that are all alike", "no bit changes them", "take fewer bits")
    if not (np.isfinite(y).all() and np.isfinite(x).all() and (x > 0).all()):
        raise WorkbenchError(
            "bits or losses", "losses are finite, and bits finite and above 0",
            "leave those points out",
        )  # fmt: skip


def stored_bits(bits: float, group: int = 128, scale: int = 16, zero: int = 16) -> float:
    """Bits a weight with a scale and a zero point for every group.

    Args:
        bits: of a code.
        group: weights that share them.
        scale: bits of a scale.
        zero: bits of a zero point.

    Example:
        >>> stored_bits(4), stored_bits(2, 64, 16, 0)
        (4.25, 2.25)
    """
    return bits + (scale + zero) / group


def memory_saved(bits: float, wide: float = 16) -> float:
    """The share of memory that weights of so many stored bits save beside wide ones.

    Args:
        bits: stored bits a weight, as of `stored_bits`.
        wide: bits of the weights before.

    Example:
        >>> [f"{memory_saved(stored_bits(bits)):.1%}" for bits in (4, 2)]
        ['73.4%', '85.9%']
    """
    return 1 - bits / wide
