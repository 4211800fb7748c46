"""Rounding learned on the grid of 4-bit floats, on layers of MiniLM, scored on text kept apart."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.models.calibrate import calibrate
from workbench.quantizers import Layer, Recipe

pytestmark = pytest.mark.real
QUERY, WIDE = "encoder.layer.2.attention.self.query", "encoder.layer.2.intermediate.dense"
OUTPUTS = 128
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


@pytest.fixture(scope="module")
def layers(fetched):
    """Some outputs of each layer, with inputs to learn on and to score."""
    model, text, names = (
        wb.models.open_model(fetched("minilm")),
        wb.models.held_out_text(),
        [QUERY, WIDE],
    )
    half = len(text) // 2
    seen = calibrate(model, text[:half], names, 6144, 64)
    other = calibrate(model, text[half:], names, 1024, 64)
    weights = {name: Layer.of(model.linears()[name]).weight[:OUTPUTS] for name in names}
    return {name: (Layer(weights[name]), seen[name], other[name]) for name in names}


@pytest.mark.parametrize("name", [QUERY, WIDE])
def test_learned_rounding_stays_on_the_grid_and_helps_on_unseen_text(name, layers):
    layer, seen, other = layers[name]
    plain, learned = (
        Recipe.parse(f"w=e2m1/channel {solver}").apply(layer, seen)
        for solver in ("nearest", "adaround")
    )
    assert learned.error(layer, other) <= 0.65 * plain.error(layer, other)
    scale = np.abs(layer.weight).max(1, keepdims=True) / 6
    units = np.abs(learned.matrix) / scale
    assert np.abs(units[..., None] - E2M1).min(-1).max() < 1e-5
    moved = learned.matrix != plain.matrix
    assert 0.02 < moved.mean() < 0.3


def test_a_weight_rounded_up_over_an_octave_lands_on_the_next_one(layers):
    """The step is that of the weight; one step above the last value of an octave is legal too."""
    layer, seen, _ = layers[QUERY]
    learned = Recipe.parse("w=e2m1/channel adaround").apply(layer, seen).matrix
    scale = np.abs(layer.weight).max(1, keepdims=True) / 6
    before, after = np.abs(layer.weight) / scale, np.abs(learned) / scale
    over = (before > 1.5) & (before < 1.75) & (after > 1.9)
    assert over.any()
    np.testing.assert_allclose(after[over], 2, rtol=1e-6)


def test_inputs_of_eight_bits_cost_little_beside_it(layers):
    layer, seen, other = layers[QUERY]
    alone, both = (
        Recipe.parse(f"w=e2m1/channel adaround {inputs}").apply(layer, seen).error(layer, other)
        for inputs in ("", "a=e3m4/tensor@mse static")
    )
    assert alone < both < 1.35 * alone
