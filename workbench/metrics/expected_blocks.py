"""The expected error of schemes whose blocks take their scale from their own largest magnitude.

Given that magnitude the other values of a block are independent and lie within it, so one integral
over its density is enough; the scale is what the scheme's own kernel makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..errors import WorkbenchError
from ..kernels.scales import scales_of
from ..schemes import Scheme, parse
from .densities import Density
from .expected import CellGrid, ExpectedError


def expected_block_error(scheme: Scheme | str, density: Density) -> ExpectedError:
    """The expected error of independent values under scales that each block takes from its absmax.

    Args:
        scheme: groups or tiles by absmax, with float32 or power-of-two scales: `int4/g32`, `mxfp4`.
        density: what the values are drawn from, without point masses.

    Other schemes raise `WorkbenchError`. The largest magnitude m of a block of n values has the
    density n F(m)^(n-1) f(m); given m, the others are independent and lie within m. The integral
    over m is a Gauss-Legendre rule between the places where a power of two jumps.

    Example:
        >>> from workbench.metrics.densities import Gaussian
        >>> round(expected_block_error("mxfp4", Gaussian()).mse, 4)
        0.0132
    """
    scheme = _checked_blocks(parse(scheme) if isinstance(scheme, str) else scheme, density)
    grid, others = CellGrid.of(scheme.element), math.prod(scheme.scale.size) - 1

    def of_largest(m: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return 0.5 * (grid.of_values(m, scale) + grid.of_values(-m, scale))

    def of_others(m: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return others * grid.sums(density, scale[:, None], m[:, None])

    # The error of the largest value itself jumps at every rounding boundary: many short panels.
    sums = _over_blocks(scheme, density, of_largest, others, panels=128)
    sums += _over_blocks(scheme, density, of_others, others - 1, panels=1)
    return ExpectedError(density.variance, *sums.tolist())


def _checked_blocks(scheme: Scheme, density: Density) -> Scheme:
    """The scheme, where its blocks depend on nothing but their own largest magnitude."""
    scale, why = scheme.scale, ""
    parts: tuple[Density, ...] = getattr(density, "parts", (density,))
    if scale is None or not scale.size or scale.zero_point or scale.range.kind != "absmax":
        why = "its scales are not those of the absmax of blocks"
    elif scale.two_level or not (scale.levels[0].is_power or scale.levels[0].name == "f32"):
        why = "its scales are rounded to a format of their own"
    elif any(p.support < math.inf and p.tail(np.asarray(p.support))[0] > 0 for p in parts):
        why = "the limit of the density holds point masses"
    if why:
        raise WorkbenchError(
            f"{scheme} on {density.name}", why, "write int4/g32 or mxfp4, no limit"
        )
    return scheme


def _over_blocks(
    scheme: Scheme, density: Density, error: Callable, power: int, panels: int
) -> np.ndarray:
    """The integral of `error(m, scale)` over largest magnitudes m, F to that power as a weight."""
    rule, count = scheme.rule(), math.prod(scheme.scale.size)
    jumps = {"rceil": float(rule.q), "even": 1 - float(rule.even_bit) * 2.0**-24}
    jump = jumps.get(scheme.scale.levels[0].rule, 1.0)
    edges = jump * 2.0 ** (np.arange(-60 * panels, 60 * panels + 1) / panels)
    zeroth, _, second = density.tail(edges)
    likely = ((1 - 2 * zeroth[1:]) ** count > 1e-12) & (count * second[:-1] > 1e-9 * second[0])
    low, high = edges[:-1][likely, None], np.minimum(edges[1:][likely, None], density.support)
    nodes, weights = np.polynomial.legendre.leggauss(32)
    m = (0.5 * (low + high) + 0.5 * (high - low) * nodes).ravel()
    scale = scales_of(m.astype(np.float32), rule).astype(np.float64)
    inside = 2 * density.partial_moments(0.0, m)[0]
    weights = 2 * density.pdf(m) * inside**power * (0.5 * (high - low) * weights).ravel()
    return error(m, scale) @ weights
