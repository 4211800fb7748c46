"""Vector codes of a layer of MiniLM at two bits a weight: k-means, tuned, and straight through.

Limits are those that an independent implementation kept on this layer.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

import workbench as wb
from workbench.models.calibrate import calibrate
from workbench.quantizers import Layer, Recipe
from workbench.quantizers.solvers import Problem, VectorCodes
from workbench.quantizers.solvers.goal import Goal
from workbench.quantizers.solvers.pv_tuning import codebook_step, gradient_step, tuned
from workbench.reproductions.vectors import full_descent, straight_through
from workbench.schemes import parse

pytestmark = pytest.mark.real
QUERY, OUTPUTS = "encoder.layer.2.attention.self.query", 96
RATES, STEPS = (3e-4, 1e-3, 3e-3), 200


@pytest.fixture(scope="module")
def layer(fetched):
    """Some outputs of the layer, with inputs to tune on and to score."""
    model, text = wb.models.open_model(fetched("minilm")), wb.models.held_out_text()
    half = len(text) // 2
    seen = calibrate(model, text[:half], [QUERY], 6144, 64)[QUERY]
    other = calibrate(model, text[half:], [QUERY], 1024, 64)[QUERY]
    return Layer(Layer.of(model.linears()[QUERY]).weight[:OUTPUTS]), seen, other


@pytest.fixture(scope="module")
def tuning(layer):
    """The goal, plain k-means, and every step from there."""
    whole, seen, _ = layer
    problem = Problem(whole.weight, parse("f16"), seen)
    goal = Goal.of(problem, "", "test")
    start = VectorCodes().start(problem)
    return goal, start, list(tuned(start, goal, 20))


def error(coded, weight, rows) -> float:
    gap = coded[0].values(coded[1]).astype("float64") - weight
    return float(((gap @ rows.gram) * gap).sum() / ((weight @ rows.gram) * weight).sum())


def test_the_error_falls_with_every_step_and_far_below_straight_through(layer, tuning):
    (whole, seen, other), (goal, start, steps) = layer, tuning
    history = [error(one, whole.weight, seen) for one in steps]
    assert all(after <= before for before, after in pairwise(history))
    assert 0.05 < history[0] < 0.065
    codebook = (codebook_step(*start, goal), start[1])
    assert 0.7 < error(codebook, whole.weight, seen) / history[0] < 0.85
    through = [straight_through(start, goal, rate, STEPS) for rate in RATES]
    best, best_unseen = (
        min(error(one, whole.weight, rows) for one in through) for rows in (seen, other)
    )
    assert history[-1] <= 0.65 * best
    assert error(steps[-1], whole.weight, other) <= 0.7 * best_unseen
    assert (steps[-1][1] != start[1]).mean() >= 0.4


def test_the_law_of_the_subspace(layer, tuning):
    """Few vectors move and gain; all together, the step is too short to reach another code."""
    (whole, seen, _), (goal, (fitted, codes), _) = layer, tuning
    errors, changed = {}, {}
    for count in (10, 100, 1000, codes.size):
        for alone in (False, True):
            moved = codes
            for _ in range(2):
                moved = gradient_step(fitted, moved, goal, count, alone)
            errors[count, alone] = error((fitted, moved), whole.weight, seen)
            changed[count, alone] = int((moved != codes).sum())
    before = error((fitted, codes), whole.weight, seen)
    assert errors[10, False] < 0.99 * before
    assert changed[10, False] >= 5
    assert errors[100, False] < before
    assert errors[1000, False] <= before
    assert changed[codes.size, False] == 0
    # with the step that one vector by itself could take, the same law the other way round
    assert errors[10, True] < before < errors[100, True] < errors[1000, True]
    assert errors[codes.size, True] > 10
    assert (fitted.codes(full_descent(fitted.values(codes), goal)) == codes).all()


def test_recipes_at_two_bits(layer):
    whole, seen, other = layer
    found = {}
    for solver in ("vector_codes", "vector_codes(weighted=true)", "pv_tuning"):
        made = Recipe.parse(f"w=f16 {solver}").apply(whole, seen)
        assert made.bits_per_weight == 2 + 8 * 2048 / (OUTPUTS * 384)
        found[solver] = made.error(whole, other)
    plain, weighted, tuned_error = found.values()
    assert weighted < 0.85 * plain
    assert tuned_error < 0.6 * weighted
    scalar = Recipe.parse("w=int2/g64+zp gptq").apply(whole, seen)
    assert scalar.bits_per_weight > 2.4
    assert tuned_error < 0.6 * scalar.error(whole, other)
