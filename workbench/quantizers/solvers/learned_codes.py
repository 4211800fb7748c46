"""Codes learned over the whole grid of a format, and with powers the exponent of the grid itself.

Source: NUPES (Yvinec et al., 2023), whose penalty and optimizer are not published: here the codes
are positions between the values of the grid, moved by Adam with the term of AdaRound (Nagel et al.,
2020) that makes every decision come out. They may end anywhere, not only at the two neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError, unknown
from ...formats import PowerFormat
from ...kernels.threads import one_blas_thread
from ...schemes import Scheme, apply
from ...schemes.fitted import Fitted, Region
from .adam import Adam
from .adaround import FLAT, STEEP
from .base import Problem, Solved, Solver, by_rows
from .descent import Descent
from .goal import Goal
from .output_loss import LOSSES, OutputLoss

ROWS = 64  # learned together
POWER_STEPS, POWER_RATE = 100, 0.02  # of the exponent's logarithm
LEAST, MOST = 0.05, 8.0  # what a power format takes
FREE_RATE = 0.1  # codes a step, while nothing has to be decided
CUT_OFF = 1e-5  # share of the error that is left between the values where weights are cut off
SMALLEST = np.float32(1e-30)
CHOICES = {
    "loss": ("mse", *LOSSES),
    "freedom": ("grid", "neighbours"),
    "optimizer": ("adam", "sgd"),
}


@dataclass(frozen=True)
class LearnedCodes(Solver):
    """Learn which value of the whole grid every weight becomes, for the layer's outputs.

    Under a power format its exponent is learned first, with every weight at its nearest value, and
    the codes are then begun anew on that grid. What is no better than rounding to nearest is not
    taken: neither the codes of a row, nor the exponent, nor all of it.

    Args:
        steps: of Adam.
        rate: its step size, in codes.
        decide: weight of the term that makes every decision come out, beside an error that is 1 a
            weight at the nearest values.
        power: whether the exponent of a power format is learned too.
        loss: "mse" of the outputs, through products of all inputs; "cosine" of the outputs of a
            token, or "kl" of their softmax, on a sample of tokens.
        freedom: "grid" for all of it, or "neighbours" for the two values about each weight.
        optimizer: "adam", or "sgd" with momentum.

    Which of these choices matter is what Gong et al., 2024, ask; their settings are not published
    in full. A layer without known inputs, or a mixture of grids, raises `WorkbenchError`.

    Example:
        >>> from workbench.quantizers import Calibration
        >>> from workbench.schemes import parse
        >>> random = np.random.default_rng(0)
        >>> x = random.standard_normal((512, 8)) @ random.standard_normal((8, 8))
        >>> problem = Problem(np.float32(random.standard_normal((4, 8))),
        ...                   parse("pow3(a=1.0)/channel"), Calibration.of(x))
        >>> solved = LearnedCodes().solve(problem)
        >>> plain = problem.weight - problem.fitted.round(problem.weight)
        >>> error = problem.weight - solved.values
        >>> bool(((x @ error.T) ** 2).sum() < 0.7 * ((x @ plain.T) ** 2).sum())
        True
    """

    steps: int = 500
    rate: float = 0.02
    decide: float = 40.0
    power: bool = True
    loss: str = "mse"
    freedom: str = "grid"
    optimizer: str = "adam"
    name: ClassVar[str] = "learned_codes"

    def __post_init__(self):
        if self.steps < 1 or not self.rate > 0 or not self.decide >= 0:
            raise WorkbenchError(
                str(self), "it takes steps of some size, and a term that is not negative",
                "write learned_codes(steps=500, rate=0.02)",
            )  # fmt: skip
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise unknown(f"{name} of {self.name}", getattr(self, name), allowed)

    def solve(self, problem: Problem) -> Solved:
        """The learned values; their error on the calibration is never above that of nearest."""
        if problem.scheme.parts:
            raise WorkbenchError(
                f"{self.name} for {problem.scheme}", "each block has a grid of its own",
                "choose one of them, or write nearest",
            )  # fmt: skip
        with one_blas_thread():
            goal = self._goal(problem)
            start = Solved(problem.fitted.round(problem.weight), problem.fitted)
            fitted = self._bent(problem.fitted, goal) if self.power else problem.fitted
            learned = self._learned(fitted, goal)
            return min(learned, start, key=lambda solved: float(goal.errors(solved.values).sum()))

    def _goal(self, problem: Problem) -> Goal | OutputLoss:
        """What is to be small."""
        if self.loss == "mse":
            return Goal.of(problem, "", self.name)
        problem.gram(self.name)
        return OutputLoss.of(self.loss, problem.weight, problem.calibration)

    def _bent(self, fitted: Fitted, goal: Goal | OutputLoss) -> Fitted:
        """The grid of a power format with a better exponent; any other grid as it is."""
        format = fitted.scheme.format
        if not isinstance(format, PowerFormat) or fitted.scheme.scale.mean:
            return fitted
        logarithm, adam = np.log(np.array([format.power])), Adam(POWER_RATE)
        best, least = fitted, np.inf
        for _ in range(POWER_STEPS):
            grid = _with_power(fitted, float(np.exp(logarithm[0])))
            error, slope = _of_power(grid, goal)
            if error < least:
                best, least = grid, error
            logarithm = np.clip(adam.moved(logarithm, slope), np.log(LEAST), np.log(MOST))
        return best

    def _learned(self, fitted: Fitted, goal: Goal | OutputLoss) -> Solved:
        """Every row at the better of its nearest values and its learned ones."""
        values = np.empty_like(goal.weight)

        def solve(rows: slice) -> None:
            grid = _Grid(fitted.region(rows, slice(None)))
            places = grid.places(goal.weight[rows])
            nearest = grid.values(np.rint(places))
            learned = grid.values(np.rint(self._moved(grid, places, nearest, goal, rows)))
            better = goal.errors(learned, rows) < goal.errors(nearest, rows)
            values[rows] = np.where(better[:, None], learned, nearest)

        by_rows(solve, len(values), _chunk(goal))
        return Solved(values, fitted)

    def _moved(self, grid: _Grid, places, nearest, goal, rows: slice) -> np.ndarray:
        """The places of some rows after all steps, near whole numbers by then.

        Where the ends of the grid cut weights off, the others first make up for that freely.
        """
        errors = goal.errors(nearest, rows)[:, None]
        each = 2 * np.float32(places.shape[1]) / np.maximum(errors, SMALLEST)
        size = np.where(errors > SMALLEST, each, 0)  # rows that are exact stay where they are
        cut = goal.errors(grid.between(places)[0], rows) > CUT_OFF * errors[:, 0]
        ends = grid.reach(places, self.freedom == "neighbours")
        if cut.any():
            places = self._stepped(grid, places, ends, size, goal, rows, FREE_RATE, decide=False)
        return self._stepped(grid, places, ends, size, goal, rows, self.rate, decide=True)

    def _stepped(
        self, grid, places, ends, size, goal, rows, rate: float, decide: bool
    ) -> np.ndarray:
        """The places after all steps, with or without the term that makes decisions."""
        mover = Adam(rate) if self.optimizer == "adam" else Descent(rate)
        steps = self.steps if decide else max(1, self.steps // 5)
        for number in range(steps):
            values, gaps = grid.between(places)
            gradient = goal.slope(values, rows) * gaps * size
            if decide:
                gradient += self._decision(places, number / steps)
            places = np.clip(mover.moved(places, gradient), *ends)
        return places

    def _decision(self, places: np.ndarray, done: float) -> np.ndarray:
        """The gradient of sum(1 - |2 f - 1|^b), f the part after the point, b falling."""
        power = np.float32(STEEP + (FLAT - STEEP) * done)
        centred = 2 * (places - np.floor(places)) - 1
        return (-2 * self.decide) * power * np.abs(centred) ** (power - 1) * np.sign(centred)


class _Grid:
    """The values of a region in order, and places between them: 0 is the first, 1 the second."""

    def __init__(self, region: Region):
        self.region, scheme = region, region.scheme
        element = scheme.element if scheme.scale is not None else scheme.format
        self.points = np.asarray(element.values, np.float32)
        self.steps = np.diff(self.points, append=2 * self.points[-1] - self.points[-2])
        self.last = self.points.size - 1
        self.offset = apply.offsets(scheme, region.scales, region.zeros)

    def places(self, weight: np.ndarray) -> np.ndarray:
        """The place of every weight, float32; beyond an end it is that end."""
        units = weight / self.region.scales + self.offset
        return np.interp(units, self.points, np.arange(self.points.size)).astype(np.float32)

    def reach(self, places: np.ndarray, near: bool) -> tuple[np.ndarray | int, np.ndarray | int]:
        """How far places may go: to the two values about them, or all over the grid."""
        return (np.floor(places), np.ceil(places)) if near else (0, self.last)

    def values(self, places: np.ndarray) -> np.ndarray:
        """The values at whole places, float32."""
        return self._restored(self.points[places.astype(np.int32)])

    def between(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The values at any places, on straight lines from one to the next, and their slopes."""
        whole = np.floor(places)
        below = whole.astype(np.int32)
        steps = self.steps[below]
        values = self._restored(self.points[below] + (places - whole) * steps)
        return values, steps * self.region.scales

    def _restored(self, units: np.ndarray) -> np.ndarray:
        region = self.region
        back = apply.restore(region.scheme, units, region.scales, region.zeros)
        return back.astype(np.float32, copy=False)


def _with_power(fitted: Fitted, power: float) -> Fitted:
    """The same scales with another exponent; they belong to the value 1 under any."""
    scheme = fitted.scheme
    bent = PowerFormat(scheme.format.bits, round(power, 4))
    return replace(fitted, scheme=Scheme(bent, scheme.scale))


def _of_power(fitted: Fitted, goal: Goal | OutputLoss) -> tuple[float, np.ndarray]:
    """The error with every weight at its nearest value, and its slope along ln a.

    A value s (k / L)^(1 / a) moves by -v ln(k / L) / a along ln a; zero stays where it is.
    """

    def of_rows(rows: slice) -> tuple[float, float]:
        region, weight = fitted.region(rows, slice(None)), goal.weight[rows]
        low, high = region.neighbours(weight)
        values = np.where(weight - low <= high - weight, low, high)
        shares = np.abs(values) / region.scales
        moved = -values * np.log(np.where(shares > 0, shares, 1))
        slope = 2 * (goal.slope(values, rows) * moved).sum(dtype=np.float64)
        return float(goal.errors(values, rows).sum()), float(slope)

    found = by_rows(of_rows, len(goal.weight), _chunk(goal))
    errors, slopes = zip(*found, strict=True)
    return sum(errors), np.array([sum(slopes)])


def _chunk(goal: Goal | OutputLoss) -> int:
    """Rows that are looked at together: all, where their losses are not apart."""
    return ROWS if isinstance(goal, Goal) else len(goal.weight)
