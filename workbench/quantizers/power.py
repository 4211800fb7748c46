"""The power exponent of a tensor by its reconstruction error alone, without any other data.

PowerQuant (Yvinec et al., 2023) rounds |w|^a instead of |w|; products stay integer products, since
the powers are the only continuous maps that keep multiplication.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..formats import PowerFormat
from ..kernels import arrays
from ..schemes import Scale, Scheme

LEAST, MOST = 0.1, 1.5


@dataclass(frozen=True)
class PowerSearch:
    """What a search for the power found.

    Args:
        scheme: the power format of least error, with the scale it was asked with.
        power: its exponent.
        error: its mean squared error over the tensor's mean square.
        uniform: the same for power 1, the usual integer grid.
        powers, errors: the curve that was searched, float64.
    """

    scheme: Scheme
    power: float
    error: float
    uniform: float
    powers: np.ndarray
    errors: np.ndarray

    @property
    def turns(self) -> int:
        """How often the curve changes direction; 1 where there is a single minimum inside."""
        signs = np.sign(np.diff(self.errors))
        signs = signs[signs != 0]
        return int(np.count_nonzero(signs[1:] != signs[:-1]))

    @property
    def at_end(self) -> bool:
        """Whether the best exponent is the last that was tried, so that one further may be better.

        Example:
            >>> best_power(np.random.default_rng(0).uniform(0.8, 1.0, (4, 64))).at_end
            True
        """
        return self.power in (LEAST, MOST)


def best_power(x: Any, width: int = 4, granularity: str = "channel") -> PowerSearch:
    """The exponent in 0.1 to 1.5 with the least squared error on `x`.

    A grid of 29 exponents is tried, then its best neighbourhood refined; the result is never worse
    than the best of the grid, and so never worse than the usual integers.

    Args:
        x: array or tensor, (outputs, inputs) for one scale an output.
        width: bits, 2 to 16.
        granularity: who shares a scale: "tensor", "channel" or "token".

    Example:
        >>> w = np.random.default_rng(0).standard_normal((8, 256)).astype(np.float32)
        >>> found = best_power(w, 4)
        >>> 0.6 < found.power < 0.85, found.error < found.uniform
        (True, True)
    """
    from scipy.optimize import minimize_scalar

    values = arrays.to_numpy(x).astype(np.float32, copy=False)
    energy = float((values.astype(np.float64) ** 2).mean()) if values.size else 0.0
    if not (energy > 0 and np.isfinite(energy)):
        raise WorkbenchError(
            f"{values.size} values with a mean square of {energy}",
            "there is no error to compare", "pass a tensor of finite values that are not all zero",
        )  # fmt: skip
    scale = Scale(granularity)

    def relative(power: float) -> float:
        rounded = Scheme(PowerFormat(width, power), scale).round(values)
        return float(((rounded - values).astype(np.float64) ** 2).mean()) / energy

    powers = np.linspace(LEAST, MOST, 29)
    errors = np.array([relative(power) for power in powers])
    best = int(errors.argmin())
    ends = powers[max(best - 1, 0)], powers[min(best + 1, powers.size - 1)]
    refined = minimize_scalar(relative, bounds=ends, method="bounded", options={"xatol": 2e-3})
    power, least = float(powers[best]), float(errors[best])
    if refined.fun < least:
        power, least = round(float(refined.x), 4), float(refined.fun)
    scheme = Scheme(PowerFormat(width, power), scale)
    return PowerSearch(scheme, power, least, relative(1.0), powers, errors)
