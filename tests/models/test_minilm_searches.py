"""Searched floats, learned codes and groups of two widths on layers of MiniLM, which has outliers.

Limits are those that independent implementations of the papers kept on this model.
"""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.models.calibrate import calibrate
from workbench.quantizers import Layer, Recipe, best_power
from workbench.quantizers.float_search import best_floats
from workbench.quantizers.solvers import Problem, WideGroups
from workbench.schemes import parse

pytestmark = pytest.mark.real
LAYER = "encoder.layer.{}".format
OUTLIERS, WIDE = LAYER("2.intermediate.dense"), LAYER("2.output.dense")
OUTPUT, LEARNED = LAYER("4.attention.output.dense"), LAYER("2.attention.self.query")
OUTPUTS = {OUTLIERS: 96, OUTPUT: 48, LEARNED: 96}


@pytest.fixture(scope="module")
def minilm(fetched):
    return wb.models.open_model(fetched("minilm"))


@pytest.fixture(scope="module")
def layers(minilm):
    """Some outputs of each layer, with rows to fit on and rows to score."""
    text, names = wb.models.held_out_text(), list(OUTPUTS)
    seen = calibrate(minilm, text[:20_000], names, 1536, 64)
    other = calibrate(minilm, text[len(text) // 2 :], names, 512, 64)
    weights = {name: Layer.of(minilm.linears()[name]).weight[: OUTPUTS[name]] for name in names}
    return {name: (Layer(weights[name]), seen[name], other[name]) for name in names}


@pytest.mark.parametrize(("name", "shift"), [(OUTLIERS, 0.65), (OUTPUT, 0.95)])
def test_floats_of_searched_bias_and_shifted_exponents(name, shift, layers):
    layer, seen, other = layers[name]
    usual = Recipe.parse("w=e2m1/channel a=e2m1/tensor static").apply(layer, seen)
    found = best_floats(layer, seen, rounds=2, tokens=128)
    both = (found.unshifted, found.recipe)
    base, shifted = (recipe.apply(layer, seen).error(layer, other) for recipe in both)
    assert shifted <= shift * base
    if name == OUTLIERS:
        assert base <= 0.12 * usual.error(layer, other)


@pytest.mark.parametrize("bits", [4, 3])
def test_codes_and_exponents_that_are_learned(bits, layers):
    layer, seen, other = layers[LEARNED]
    grids = [f"w=pow{bits}(a={a:.2f})/channel" for a in np.arange(0.5, 1.15, 0.05)]
    best = min((Recipe.parse(g).apply(layer) for g in grids), key=lambda g: g.error(layer, seen))
    start = best_power(layer.weight, bits).scheme
    made = Recipe.parse(f"w={start} learned_codes(steps=300)").apply(layer, seen)
    assert made.error(layer, seen) <= best.error(layer, seen)
    assert made.error(layer, other) <= 0.85 * best.error(layer, other)


def test_the_power_of_weights_alone(minilm):
    weight = Layer.of(minilm.linears()[WIDE]).weight
    found = best_power(weight)
    assert found.power == pytest.approx(0.60, abs=0.04)
    assert found.error / found.uniform == pytest.approx(0.548, abs=0.03)
    half, whole = (parse(f"pow4(a={a})/channel").round(weight) - weight for a in (0.5, 1.0))
    size = float((weight**2).mean())
    assert (half**2).mean() / size == pytest.approx(0.0279, rel=0.02)
    assert (whole**2).mean() / size == pytest.approx(0.0479, rel=0.02)


@pytest.mark.parametrize(("share", "limit"), [(0.1, 0.85), (0.25, 0.75)])
def test_wide_groups_by_range(share, limit, minilm):
    weight = Layer.of(minilm.linears()[WIDE]).weight
    two, four = (parse(f"int{bits}/g16+zp").round(weight) for bits in (2, 4))
    solved = WideGroups(share=share).solve(Problem(weight, parse("int2/g16+zp")))
    gain = ((two - weight) ** 2 - (four - weight) ** 2).reshape(384, -1, 16).sum(-1)
    chance = np.random.default_rng(0).random(gain.shape)

    def error(choice):
        values = np.where(choice.repeat(16, 1), four, two)
        return float(((values - weight) ** 2).mean() / (weight**2).mean())

    widths = solved.fitted.widths
    best, random = (error(widths.chosen(sizes)) for sizes in (gain, chance))
    ours = float(((solved.values - weight) ** 2).mean() / (weight**2).mean())
    assert ours <= 1.05 * best
    assert ours <= limit * random
