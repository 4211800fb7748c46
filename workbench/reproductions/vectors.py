"""Reproduction of tuned vector codes on a layer: figures by name."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..quantizers import Calibration, Layer
from ..quantizers.solvers import Problem, VectorCodes
from ..quantizers.solvers.adam import Adam
from ..quantizers.solvers.goal import Goal
from ..quantizers.solvers.pv_tuning import Coded, codebook_step, gradient_step, tuned
from ..quantizers.solvers.vector_codes import gathered
from ..schemes import parse
from ..schemes.vectors import fit_vectors
from .quantizers import real_layer

Figures = dict[str, float]

OUTPUTS = 96  # of a layer that are looked at, so that an answer takes seconds
ROUNDS = 15
RATES, STEPS = (3e-4, 1e-3, 3e-3), 300  # of straight-through tuning


@cache
def vector_tuning() -> Figures:
    """[66] Codes of four weights at 2 bits each: k-means, both kinds of steps, and the law of V.

    Errors are relative and of text kept apart, if not said otherwise.
    """
    layer, seen, other = real_layer()
    problem = Problem(Layer(layer.weight[:OUTPUTS]).weight, parse("f16"), seen)
    goal = Goal.of(problem, "", "vector_tuning")
    start = VectorCodes(weighted=True).start(problem)
    steps = list(tuned(start, goal, ROUNDS))
    errors = [_relative(one, goal.weight, seen) for one in steps]
    straight = [straight_through(start, goal, rate, STEPS) for rate in RATES]
    best = min(straight, key=lambda one: _relative(one, goal.weight, seen))
    plain, codebook, whole, through = (
        _relative(one, goal.weight, other)
        for one in (start, (codebook_step(*start, goal), start[1]), steps[-1], best)
    )
    stored = steps[-1][0].quantize(steps[-1][0].values(steps[-1][1]))
    return {
        "bits a weight, codebook counted": stored.bits_per_value,
        "k-means": plain,
        "codebook tuned alone": codebook,
        "straight-through, best of three rates": through,
        "tuned": whole,
        "tuned over straight-through": whole / through,
        "tuned, seen text": errors[-1],
        "steps that raised the error": float((np.diff(errors) > 0).sum()),
        "share of codes changed": float((steps[-1][1] != start[1]).mean()),
    } | _law(start, goal, seen)


def _law(start: Coded, goal: Goal, seen: Calibration) -> Figures:
    """What gradient steps of few and of all vectors do, on seen text; and one full descent."""
    fitted, codes = start
    figures: Figures = {"k-means, seen text": _relative(start, goal.weight, seen)}
    for name, count in (("ten vectors", 10), ("all vectors", codes.size)):
        for how, alone in (("", False), (", each by its own curvature", True)):
            moved = gradient_step(fitted, codes, goal, count, alone)
            figures[f"gradient step of {name}{how}"] = _relative((fitted, moved), goal.weight, seen)
    moved = fitted.codes(full_descent(fitted.values(codes), goal))
    return figures | {"codes changed by the best full step": float((moved != codes).sum())}


def full_descent(values: np.ndarray, goal: Goal) -> np.ndarray:
    """Where the gradient of a whole matrix leads, at the step of least error along it.

    Example:
        >>> problem = Problem(np.float32([[1, 2]]), parse("f16"), Calibration.identity(2))
        >>> full_descent(np.float32([[3, 3]]), Goal.of(problem, "", "example")).tolist()
        [[1.0, 2.0]]
    """
    slope = goal.slope(values)
    return values - slope * ((slope**2).sum() / ((slope @ goal.square) * slope).sum())


def straight_through(start: Coded, goal: Goal, rate: float, steps: int) -> Coded:
    """The best of what straight-through tuning comes to: weights beneath the codes, and a codebook.

    Each step takes the nearest codes of the weights, and moves weights and codebook by Adam along
    the gradient at the quantized ones; rates are relative to the size of the weights.
    """
    (fitted, codes), weights = start, goal.weight.copy()
    size = rate * float(np.sqrt((weights**2).mean()))
    adams, best, least = (Adam(size), Adam(size)), start, np.inf
    for _ in range(steps):
        codes = fitted.codes(weights)
        values = fitted.values(codes)
        error = float(goal.errors(values).sum())
        if error < least:
            best, least = (fitted, codes), error
        slope, table = goal.slope(values), fitted.table
        sums = gathered(codes.reshape(-1), slope.reshape(-1, table.shape[1]), len(table))
        weights = adams[0].moved(weights, slope)
        fitted = fit_vectors(fitted.scheme, fitted.shape, adams[1].moved(table, sums))
    return best


def _relative(coded: Coded, weight: np.ndarray, rows: Calibration) -> float:
    """The squared error of the outputs over their square."""
    exact = weight.astype(np.float64)
    gap = coded[0].values(coded[1]) - exact
    return float(((gap @ rows.gram) * gap).sum() / ((exact @ rows.gram) * exact).sum())
