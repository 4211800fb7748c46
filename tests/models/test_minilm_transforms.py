"""Searched thresholds, learned rotations and tied scales on layers of MiniLM, which has outliers.

Limits are those that independent implementations of the papers kept on this model.
"""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.models.calibrate import calibrate
from workbench.quantizers import Layer, Recipe

pytestmark = pytest.mark.real
LAYER = "encoder.layer.{}".format
OUTLIERS, QUERY, WIDE = (
    LAYER(name) for name in ("0.intermediate.dense", "0.attention.self.query", "2.output.dense")
)


@pytest.fixture(scope="module")
def minilm(fetched):
    return wb.models.open_model(fetched("minilm"))


@pytest.fixture(scope="module")
def layers(minilm):
    """Two layers, each with rows to fit on and rows of another text to score."""
    text, names = wb.models.held_out_text(), [OUTLIERS, QUERY]
    seen = calibrate(minilm, text[: len(text) // 2], names, 4096, 64)
    other = calibrate(minilm, text[len(text) // 2 :], names, 512, 64)
    weights = {name: Layer.of(minilm.linears()[name]) for name in names}
    return {name: (weights[name], seen[name], other[name]) for name in names}


def errors(layers, name: str, transforms: str, rest: str) -> tuple[float, float]:
    """The relative error of the outputs on the rows that were fitted on, and on others."""
    layer, seen, other = layers[name]
    assert seen.count >= 4 * seen.features
    made = Recipe.parse(f"{transforms} {rest}").apply(layer, seen)
    return made.error(layer, seen), made.error(layer, other)


def unchanged(layers, name: str, rewritten) -> bool:
    """Whether a rewritten layer gives what it did on rows it has not seen."""
    layer, _, other = layers[name]
    [after] = rewritten.layers
    outputs = rewritten.rewrite.inputs(other.rows) @ after.weight.T + after.bias
    exact = other.rows @ layer.weight.T + layer.bias
    return bool(np.abs(outputs - exact).max() <= 1e-4 * np.abs(exact).max())


def test_a_shift_and_a_searched_threshold_carry_outliers(layers):
    rest = "w=int6/channel a=int6/tensor+zp"
    plain, shifted, smooth = (
        errors(layers, OUTLIERS, one, rest)[1] for one in ("", "center", "smooth")
    )
    layer, seen, other = layers[OUTLIERS]
    recipe = Recipe.parse(f"center threshold {rest}")
    rewritten = recipe.rewrite([layer], seen)
    made = recipe.solve(rewritten.layers[0], rewritten.calibration, rewritten.rewrite)
    assert unchanged(layers, OUTLIERS, rewritten)
    assert made.error(layer, other) <= 0.12 * plain
    assert made.error(layer, other) <= 0.5 * smooth < smooth < shifted < plain
    assert made.error(layer, other) <= 1.4 * made.error(layer, seen)


def test_a_learned_rotation_halves_the_error_of_the_best_fixed_one(layers):
    rest = "w=int4/channel a=int4/token"
    fixed = ("", "smooth", "orthogonal", "hadamard", "hadamard(block=128)")
    best = min(errors(layers, QUERY, one, rest)[1] for one in fixed)
    layer, seen, other = layers[QUERY]
    recipe = Recipe.parse(f"learned_rotation {rest}")
    rewritten = recipe.rewrite([layer], seen)
    made = recipe.solve(rewritten.layers[0], rewritten.calibration, rewritten.rewrite)
    assert unchanged(layers, QUERY, rewritten)
    assert made.error(layer, other) <= 0.5 * best
    matrix = rewritten.rewrite.steps[1].inner.astype(np.float64)
    assert np.abs(matrix @ matrix.T - np.eye(len(matrix))).max() <= 2e-6


def test_scales_tied_to_their_row_cost_less_than_powers_of_two(minilm):
    weight = Layer.of(minilm.linears()[WIDE]).weight
    size, error = float((weight.astype(np.float64) ** 2).mean()), {}
    for scale in ("", "*pow2", "*pow2(m2)", "*pow2(m2ceil)"):
        gap = wb.scheme(f"e2m1/g256{scale}").round(weight).astype(np.float64) - weight
        error[scale] = (gap**2).mean() / size
    want = {"": 0.01503, "*pow2": 0.0246, "*pow2(m2)": 0.0194, "*pow2(m2ceil)": 0.0234}
    assert error == pytest.approx(want, rel=0.01)


def test_four_bit_floats_under_eight_bit_inputs(layers):
    tail = "gptq(act_order=true) a=e4m3fn/token low_rank(rank=8)"
    free, tied, powers = (
        errors(layers, OUTLIERS, "", f"w=e2m1/g256{scale} {tail}")[1]
        for scale in ("", "*pow2(m2)", "*pow2")
    )
    assert free < tied < powers
    assert tied < 0.75 * errors(layers, OUTLIERS, "", "w=e2m1/g256*pow2(m2) a=e4m3fn/token")[1]
