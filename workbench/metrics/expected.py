"""The expected error of a format on a density, in closed form, and the range that makes it least.

Sums of partial moments over the cells between rounding boundaries, after Kuzmin et al. 2022 ("FP8
Quantization: The Power of the Exponent") and van Baalen et al. 2023 ("FP8 versus INT8").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..formats import FloatFormat, Format
from ..formats import parse as parse_format
from ..schemes.report import decibels
from .densities import Density, Gaussian, StudentT, Uniform

# Bits of exponent and mantissa beside the sign; no exponent is the symmetric integer.
EIGHT_BITS = {"INT8": (0, 7), "E2M5": (2, 5), "E3M4": (3, 4), "E4M3": (4, 3), "E5M2": (5, 2)}
DENSITIES = (Uniform(), Gaussian(), StudentT(8.0, limit=100.0))


@dataclass(frozen=True)
class ExpectedError:
    """What rounding one value drawn from a density costs on average.

    Args:
        signal: its mean square.
        rounding: mean squared error inside the format's range.
        clipping: mean squared error of values that lie further beyond the largest (or smallest)
            value than half the last step; the two add up to the whole.
        cross: the mean of the value times its signed error, negative where values shrink.
    """

    signal: float
    rounding: float
    clipping: float
    cross: float

    @property
    def mse(self) -> float:
        """The mean squared error."""
        return self.rounding + self.clipping

    @property
    def sqnr(self) -> float:
        """Signal to quantization noise in dB."""
        return decibels(self.signal, self.mse)


@dataclass(frozen=True)
class BestRange:
    """The scale at which the expected squared error is least.

    Args:
        scale: what the format's values are multiplied by.
        range: the largest magnitude that the scaled format reaches.
        error: the expected error there.
    """

    scale: float
    range: float
    error: ExpectedError


@dataclass(frozen=True)
class CellGrid:
    """Ascending values with the ends of their cells; clipping has a cell of its own at each end."""

    targets: np.ndarray
    edges: np.ndarray

    @classmethod
    def of(cls, format: Format | str | Any) -> CellGrid:
        """The grid of a format, of its name, or of an array of values."""
        if isinstance(format, Format | str):
            format = parse_format(format)
            values, middles = format.values, format.middles
        else:
            values = _checked(np.asarray(format, np.float64))
            middles = 0.5 * values[:-1] + 0.5 * values[1:]
        first, last = np.diff(values)[[0, -1]] if values.size > 1 else (0.0, 0.0)
        ends = values[0] - first / 2, values[-1] + last / 2
        edges = np.concatenate([[-np.inf, ends[0]], middles, [ends[1], np.inf]])
        return cls(np.concatenate([values[:1], values, values[-1:]]), edges)

    @property
    def reach(self) -> float:
        """The largest magnitude."""
        return float(np.abs(self.targets).max())

    def sums(self, density: Density, scale: Any, within: Any = np.inf) -> np.ndarray:
        """Rounding, clipping and cross of the values up to magnitudes of `within`, `(3, ...)`.

        `scale` and `within` are numbers or `(..., 1)`.
        """
        edges = np.clip(self.edges * scale, -within, within)
        m0, m1, m2 = density.partial_moments(edges[..., :-1], edges[..., 1:])
        g = self.targets * scale
        cells = m2 - 2 * g * m1 + g * g * m0
        inside, ends = cells[..., 1:-1].sum(-1), cells[..., 0] + cells[..., -1]
        return np.stack([np.maximum(inside, 0), np.maximum(ends, 0), (g * m1 - m2).sum(-1)])

    def of_values(self, x: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Rounding, clipping and cross of single values x, each under its own scale, `(3, n)`."""
        scaled = x / scale
        cell = np.searchsorted(self.edges, scaled) - 1
        error = self.targets[cell] * scale - x
        beyond = (scaled < self.edges[1]) | (scaled > self.edges[-2])
        return np.stack([np.where(beyond, 0, error**2), np.where(beyond, error**2, 0), x * error])


def _checked(values: np.ndarray) -> np.ndarray:
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        why = "a grid is a list of finite numbers"
    elif (np.diff(values) <= 0).any():
        why = "its values ascend, each one once"
    else:
        return values
    raise WorkbenchError(f"a grid of shape {values.shape}", why, "write np.unique(values)")


def minifloat_values(exponent: int, mantissa: int, largest: float = 1.0) -> np.ndarray:
    """All values of a float without specials whose real-valued bias puts the largest at `largest`.

    Args:
        exponent: bits of the exponent; 0 gives the symmetric integers from -(2^M - 1) to 2^M - 1.
        mantissa: bits of the mantissa.
        largest: positive; the bias is 2^E - 1 + log2((2 - 2^-M) / largest).

    Returns:
        Ascending float64, the two zeros as one.

    Example:
        >>> minifloat_values(2, 1, 6.0)[7:]
        array([0. , 0.5, 1. , 1.5, 2. , 3. , 4. , 6. ])
        >>> minifloat_values(0, 7, 127.0)[[0, 1, -1]]
        array([-127., -126.,  127.])
    """
    if not 0 < largest < math.inf:
        raise WorkbenchError(
            f"a largest value of {largest}", "it is positive and finite", "write largest=1.0"
        )
    values = FloatFormat(exponent, mantissa, top="finite").values
    return values / values[-1] * largest


def expected_error(
    format: Format | str | Any, density: Density, scale: float = 1.0
) -> ExpectedError:
    """The expected error of values from a density, each rounded to the nearest value of a format.

    Args:
        format: a format, its name, or an ascending array of values; what lies beyond saturates.
        density: what the values are drawn from.
        scale: positive; the format's values are multiplied by it.

    Returns:
        An `ExpectedError` to the accuracy of float64 sums.

    Example:
        >>> error = expected_error("int8n", Uniform(127.5))  # 255 cells of width 1, nothing beyond
        >>> round(error.mse, 9), error.clipping, round(error.sqnr, 2)
        (0.083333333, 0.0, 48.13)
    """
    if not 0 < scale < math.inf:
        raise WorkbenchError(f"scale={scale}", "a scale is positive and finite", "write scale=1.0")
    return ExpectedError(density.variance, *CellGrid.of(format).sums(density, scale).tolist())


_A_OCTAVE, _REFINED, _TIE = 8, 3, 1e-9


def best_range(format: Format | str | Any, density: Density, beyond: float = 1.0) -> BestRange:
    """The scale at which the expected squared error is least, by a search over all sensible ranges.

    Args:
        format: a format, its name, or an ascending array of values, as for `expected_error`.
        density: what the values are drawn from.
        beyond: how many times a bounded support the range may be; 1, as in the papers, leaves no
            value unused, while floats can gain from up to 2, which leaves part of the last octave.

    A float has a local minimum in almost every octave, so the lowest of a grid of ranges are each
    refined: from a sixteenth to 256 standard deviations, or to where half of a format's values are
    larger than 16. Among equals the smallest range wins.

    Example:
        >>> best = best_range(minifloat_values(2, 5), Gaussian())
        >>> round(best.range, 2), round(best.error.sqnr, 2)
        (4.35, 42.67)
    """
    from scipy.optimize import minimize_scalar

    grid, deviation = CellGrid.of(format), math.sqrt(density.variance)
    if grid.reach == 0:
        raise WorkbenchError("a format with no value but 0", "it has no range", "use int2 or wider")
    widest = max(256, 16 * grid.reach / np.median(np.abs(grid.targets[grid.targets != 0])))
    high = math.log2(min(widest * deviation, beyond * density.support))
    octaves = np.append(np.arange(math.log2(deviation / 16), high, 1 / _A_OCTAVE), high)

    def mse(octave: float) -> float:
        return float(grid.sums(density, 2.0**octave / grid.reach)[:2].sum())

    found = []
    for at in _lowest(np.array([mse(octave) for octave in octaves])):
        ends = octaves[max(at - 1, 0)], octaves[min(at + 1, octaves.size - 1)]
        best = minimize_scalar(mse, bounds=ends, method="bounded", options={"xatol": 1e-5})
        found.append((float(best.fun), float(best.x)))
    least = min(found)[0]
    largest = 2 ** min(octave for error, octave in found if error <= least * (1 + _TIE))
    scale = largest / grid.reach
    error = ExpectedError(density.variance, *grid.sums(density, scale).tolist())
    return BestRange(scale, largest, error)


def _lowest(errors: np.ndarray) -> np.ndarray:
    """Places of the lowest few local minima, the ends included; the first of equal ones first."""
    padded = np.concatenate([[np.inf], errors, [np.inf]])
    minima = np.flatnonzero((errors <= padded[:-2]) & (errors < padded[2:]))
    order = np.argsort(np.round(np.log(errors[minima]), 8), kind="stable")
    return minima[order][:_REFINED]


def dot_product_error(x: ExpectedError, y: ExpectedError) -> float:
    """The mean squared error of the product of two independent rounded values.

    A dot product of n terms of zero mean has n times as much. With R the mean squared error and S
    the cross term of each factor, it is E[x^2] Ry + E[y^2] Rx + Rx Ry + 2 (Sx Sy + Rx Sy + Ry Sx).

    Example:
        >>> coarse = expected_error("int4", Gaussian(), scale=0.4)
        >>> exact = ExpectedError(signal=1.0, rounding=0.0, clipping=0.0, cross=0.0)
        >>> dot_product_error(coarse, exact) == coarse.mse
        True
    """
    plain = x.signal * y.mse + y.signal * x.mse + x.mse * y.mse
    return plain + 2 * (x.cross * y.cross + x.mse * y.cross + y.mse * x.cross)


def best_ranges(
    densities: Sequence[Density] = DENSITIES, layouts: Mapping[str, tuple[int, int]] = EIGHT_BITS
) -> list[dict[str, BestRange]]:
    """The best range of every minifloat layout on every density: who wins, and by how much.

    Args:
        densities: what the values are drawn from.
        layouts: the name of each format with its bits of exponent and mantissa.

    Returns:
        For each density in order, the best range of each layout by its name.

    Example:
        >>> table = best_ranges([Uniform(), Gaussian(), StudentT(5, limit=100.0)])
        >>> [winner(row) for row in table]
        ['INT8', 'E2M5', 'E3M4']
    """
    grids = {name: minifloat_values(*bits) for name, bits in layouts.items()}
    return [{name: best_range(g, density) for name, g in grids.items()} for density in densities]


def winner(row: Mapping[str, BestRange]) -> str:
    """The format with the least expected error among those of one density.

    Example:
        >>> winner(best_ranges([Gaussian()], {"INT4": (0, 3), "E2M1": (2, 1)})[0])
        'E2M1'
    """
    return min(row, key=lambda name: row[name].error.mse)
