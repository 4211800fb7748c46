"""Solvers and outlier columns on layers of a real encoder, scored on text kept apart."""

from __future__ import annotations

import numpy as np
import pytest

from workbench import models
from workbench.models.calibrate import calibrate
from workbench.quantizers import Layer, Recipe

QUERY = "encoder.layer.2.attention.self.query"
WIDE, NARROW = "encoder.layer.2.intermediate.dense", "encoder.layer.2.output.dense"
OUTLIERS = "encoder.layer.0.intermediate.dense"  # four channels of its inputs reach far
CALIBRATED, HELD_OUT = 6144, 1024


@pytest.fixture(scope="module")
def layers(fetched):
    """Layer, calibration and held-out inputs by name."""
    model, text = models.open_model(fetched("minilm")), models.held_out_text()
    half, names = len(text) // 2, [QUERY, WIDE, NARROW, OUTLIERS]
    seen = calibrate(model, text[:half], names, CALIBRATED, 64)
    other = calibrate(model, text[half:], names, HELD_OUT, 64)
    return {
        name: (Layer.of(model.linears()[name], name), seen[name], other[name]) for name in names
    }


def over_nearest(layers, name: str, bits: int, solver: str) -> float:
    """Held-out error of a solver over that of rounding to nearest."""
    layer, seen, other = layers[name]
    assert seen.count == CALIBRATED >= 4 * seen.features
    plain = Recipe.parse(f"w=int{bits}/channel").apply(layer).error(layer, other)
    made = Recipe.parse(f"w=int{bits}/channel {solver}").apply(layer, seen)
    return made.error(layer, other) / plain


@pytest.mark.parametrize(("name", "most"), [(QUERY, 0.56), (WIDE, 0.48), (NARROW, 0.55)])
def test_gptq_halves_the_held_out_error_and_act_order_helps(layers, name, most):
    for bits in (4, 3):
        plain, ordered = (
            over_nearest(layers, name, bits, f"gptq(act_order={flag})")
            for flag in ("false", "true")
        )
        assert ordered < plain < most


@pytest.mark.parametrize(("bits", "most"), [(4, 0.57), (3, 0.6), (2, 0.75)])
def test_learned_rounding_helps_and_moves_no_weight_by_a_step(layers, bits, most):
    layer, seen, _ = layers[QUERY]
    assert over_nearest(layers, QUERY, bits, "adaround") < most
    plain = Recipe.parse(f"w=int{bits}/channel").apply(layer).weight
    made = Recipe.parse(f"w=int{bits}/channel adaround").apply(layer, seen).weight
    step = plain.scales.reshape(-1, 1)
    moved = np.abs(made.dequantize() - plain.dequantize()) / step
    assert moved.max() < 1.001
    assert 0.04 < (moved > 0.5).mean() < 0.2


def test_outlier_columns_are_four_and_carry_the_error(layers):
    layer, seen, other = layers[OUTLIERS]
    texts = {
        "tensor": "w=int8/tensor a=int8/tensor",
        "vector": "w=int8/channel a=int8/token",
        "apart": "w=int8/channel a=int8/token outlier_columns",
        "bits": "w=int8/channel a=int8/token outlier_columns(weights=quantized)",
    }
    made = {name: Recipe.parse(text).apply(layer, seen) for name, text in texts.items()}
    error = {name: one.error(layer, other) for name, one in made.items()}
    assert made["apart"].corrections[0].found(other.rows).size == 4
    assert error["apart"] <= error["bits"] <= 0.4 * error["vector"]
    assert error["vector"] <= 0.1 * error["tensor"]
