"""Bias correction and equalization on MiniLM, whose feed-forward parts go through a GELU."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.models.calibrate import calibrate
from workbench.quantizers import Layer, Recipe

pytestmark = pytest.mark.real
QUERY = "encoder.layer.2.attention.self.query"


@pytest.fixture(scope="module")
def minilm(fetched):
    return wb.models.open_model(fetched("minilm"))


@pytest.fixture(scope="module")
def rows(minilm):
    """What the layer reads: to correct with, and to score on."""
    text = wb.models.held_out_text()
    halves = (text[: len(text) // 2], 2048), (text[len(text) // 2 :], 512)
    return [calibrate(minilm, half, [QUERY], count, 64)[QUERY] for half, count in halves]


@pytest.mark.parametrize("scheme", ["int3/channel+zp", "e2m0/channel"])
def test_bias_correction_helps_on_held_out_text(minilm, rows, scheme):
    layer, seen = Layer.of(minilm.linears()[QUERY], QUERY), rows[0]
    plain, corrected = (
        Recipe.parse(f"w={scheme}{more}").apply(layer, seen) for more in ("", " bias_correction")
    )
    exact = seen.rows.astype(np.float64) @ layer.weight.T.astype(np.float64) + layer.bias
    residual = (corrected(seen.rows) - exact).mean(axis=0)
    assert np.abs(residual).max() <= 1e-6
    assert np.abs((plain(seen.rows) - exact).mean(axis=0)).max() > 1e-3
    for known in rows:
        assert corrected.error(layer, known) <= 0.9 * plain.error(layer, known)


def test_equalization_through_a_gelu_is_refused(minilm):
    recipe = "[*.layer.0.output.dense: equalize w=int4/tensor]"
    with pytest.raises(WorkbenchError, match="no linear layer writes these inputs directly"):
        wb.quantize(minilm, recipe)
