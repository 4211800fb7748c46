"""AdaQuant: weights, their scales, the ranges of inputs and the bias, for a layer's outputs.

Source: Hubara et al., 2021. Weights move continuously and are rounded to nearest under scales that
move too; gradients pass the rounding as if it were not there. The loss is that of all calibration
rows at once, by their products, where the paper draws batches of them; the ranges of inputs are
searched instead of learned, and the bias is the best there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ...kernels.threads import one_blas_thread
from ...schemes import apply
from ...schemes.apply import Chosen
from ...schemes.fitted import Fitted
from ..activations import Activations
from .adam import Adam
from .base import Problem, Solved, Solver
from .goal import Goal
from .moved_scales import bands, block_sums, check_scaled, in_parts, stored
from .static_inputs import best_ranges, mean_error, rounded_goal

ROWS = 64  # learned together, where rows have scales of their own
SMALLEST = np.float32(1e-30)


@dataclass(frozen=True)
class AdaQuant(Solver):
    """Learn weights and scales together, and find the ranges of static inputs, for the outputs.

    Where the recipe rounds inputs, the loss is that of rounded inputs. Rows that share scales are
    kept as they were best, and all of it only where it is no worse than rounding to nearest.

    Args:
        steps: of Adam.
        rate: its step size for weights and zero points, in steps of the grid.
        scale_rate: its step size for the logarithms of scales.
        ranges: whether the ranges of static inputs are moved too.
        bias: whether the mean error of each output goes into the bias.

    A layer without known inputs, or a mixture of grids, raises `WorkbenchError`.

    Example:
        >>> from workbench.quantizers import Calibration
        >>> from workbench.schemes import parse
        >>> random = np.random.default_rng(0)
        >>> x = random.standard_normal((512, 8)) @ random.standard_normal((8, 8))
        >>> problem = Problem(np.float32(random.standard_normal((4, 8))), parse("int3/channel"),
        ...                   Calibration.of(x))
        >>> error = problem.weight - AdaQuant().solve(problem).values
        >>> plain = problem.weight - problem.fitted.round(problem.weight)
        >>> bool(((x @ error.T) ** 2).sum() < 0.7 * ((x @ plain.T) ** 2).sum())
        True
    """

    steps: int = 300
    rate: float = 0.005
    scale_rate: float = 0.02
    ranges: bool = True
    bias: bool = True
    name: ClassVar[str] = "adaquant"

    def __post_init__(self):
        if self.steps < 1 or not self.rate > 0 or not self.scale_rate >= 0:
            raise WorkbenchError(
                str(self), "it takes steps of some size", "write adaquant(steps=300, rate=0.005)"
            )

    def solve(self, problem: Problem) -> Solved:
        """The learned values and scales; their error is never above that of nearest."""
        check_scaled(self.name, problem.scheme)
        problem.gram(self.name)
        with one_blas_thread():
            plan, known = problem.rounding, problem.calibration
            inputs = None
            if plan.activations:
                inputs = Activations.of(plan.activations, plan.static, known)
            plain = problem.fitted.round(problem.weight), problem.fitted, inputs
            tried = [plain, self._learned(problem, inputs)]
            best = min(tried, key=lambda one: self._goal(problem, one[2]).errors(one[0]).sum())
            return self._solved(problem, *best)

    def _goal(self, problem: Problem, inputs: Activations | None) -> Goal:
        return rounded_goal(problem.weight, problem.calibration, inputs, self.bias)

    def _learned(self, problem: Problem, inputs: Activations | None):
        """Values, scales and inputs; ranges are found for exact weights, then for the learned."""
        fitted, weight, known = problem.fitted, problem.weight, problem.calibration
        static = self.ranges and inputs is not None and inputs.fixed is not None
        if static:
            inputs = best_ranges(inputs, known, weight, weight, self.bias)
        goal = self._goal(problem, inputs)
        values, fitted = in_parts(
            fitted, lambda rows, mine: _Weights(mine, goal, rows).learned(self), ROWS
        )
        if static:
            inputs = best_ranges(inputs, known, weight, values, self.bias)
        return values, fitted, inputs

    def _solved(self, problem: Problem, values, fitted, inputs: Activations | None) -> Solved:
        fixed = inputs if self.ranges and inputs is not None and inputs.fixed is not None else None
        if not self.bias:
            return Solved(values, fitted, fixed)
        bias = mean_error(problem.weight, values, problem.calibration, inputs)
        return Solved(values, fitted, fixed, bias)


class _Weights:
    """Some rows, as places in steps of their grid, under scales and zero points that move too."""

    def __init__(self, fitted: Fitted, goal: Goal, rows: slice):
        self.fitted, self.goal, self.rows, self.band = fitted, goal, rows, bands(fitted)
        grid = np.asarray(fitted.scheme.element.values, np.float32)
        steps = np.diff(grid)
        self.ends = grid[0] - steps[0] / 2, grid[-1] + steps[-1] / 2
        weight = fitted.layout.to_rows(goal.weight[rows])
        shift = apply.offsets(fitted.scheme, fitted.scales, fitted.zeros)
        below = np.searchsorted(grid, weight / fitted.scales + shift, side="right") - 1
        self.unit = steps[np.clip(below, 0, steps.size - 1)] * fitted.scales
        self.places = weight / self.unit
        self.best, self.kept = fitted.round(goal.weight[rows]), _copied(fitted.chosen)
        self.least = np.bincount(self.band, goal.errors(self.best, rows))

    def learned(self, solver: AdaQuant) -> tuple[np.ndarray, Chosen]:
        """The best values that were met, and their scales."""
        still = np.zeros_like(self.kept.scales)
        moving, rates = [self.places, still, still], (solver.rate, solver.scale_rate, solver.rate)
        adams = [Adam(rate) for rate in rates]
        size = self.best.size / self.least.size / np.maximum(self.least, SMALLEST)
        size = size.astype(np.float32)[self.band, None]
        for number in range(solver.steps):
            share = (1 + np.cos(np.pi * number / solver.steps)) / 2
            for at, gradient in enumerate(self._gradients(moving, size)):
                adams[at].rate = rates[at] * share
                moving[at] = adams[at].moved(moving[at], gradient)
        return self.best, self.kept

    def _gradients(self, moving: list[np.ndarray], size: np.ndarray) -> list[np.ndarray]:
        """Of the error times `size`: along places, scales' logarithms, zero points or means."""
        scheme, layout, (places, logs, shifts) = self.fitted.scheme, self.fitted.layout, moving
        chosen = self._chosen(logs, shifts)
        scales = layout.spread(chosen.scales)
        zeros = None if chosen.zeros is None else layout.spread(chosen.zeros)
        latent = places * self.unit
        units = latent / scales + apply.offsets(scheme, scales, zeros)
        rounded = apply.restore(scheme, scheme.element.round(units), scales, zeros)
        slope = self._met(layout.from_rows(rounded), chosen)
        slope = layout.to_rows(slope * size)
        inside = (units >= self.ends[0]) & (units <= self.ends[1])
        origin = zeros if scheme.scale.mean else 0  # what a value beyond the ends is scaled from
        stretched = rounded - np.where(inside, latent, origin)
        gradients = [slope * self.unit * inside, block_sums(slope * stretched, layout)]
        if zeros is not None:
            step = self.fitted.chosen.scales if scheme.scale.mean else -chosen.scales
            gradients.append(block_sums(np.where(inside, 0, slope), layout) * step)
        return gradients

    def _chosen(self, logs: np.ndarray, shifts: np.ndarray) -> Chosen:
        """The scales, and zero points or means, that have come out by now."""
        scheme, (scales, zeros, whole) = self.fitted.scheme, self.fitted.chosen
        if zeros is not None and scheme.scale.mean:
            zeros = zeros + shifts * scales
        elif zeros is not None:
            zeros = np.clip(np.rint(zeros + shifts), *scheme.code_range)
        return Chosen(stored(self.fitted, scales * np.exp(logs)), zeros, whole)

    def _met(self, values: np.ndarray, chosen: Chosen) -> np.ndarray:
        """Keep what is better than before, and give half the gradient at the values."""
        goal, rows = self.goal, self.rows
        slope, gap = goal.slope(values, rows), values - goal.weight[rows]
        errors = np.einsum("ij,ij->i", slope + goal.pull[rows], gap) + goal.constant[rows]
        totals = np.bincount(self.band, errors)
        better = totals < self.least
        self.least[better] = totals[better]
        self.best[better[self.band]] = values[better[self.band]]
        for new, old in zip(chosen[:2], self.kept[:2], strict=True):
            if old is not None:
                old[better] = new[better]
        return slope


def _copied(chosen: Chosen) -> Chosen:
    scales, zeros, whole = chosen
    return Chosen(scales.copy(), None if zeros is None else zeros.copy(), whole)
