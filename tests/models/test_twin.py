"""The outlier twin is the same function to the last bit, its outliers where they are said to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench import models
from workbench.models.capture import capture_inputs
from workbench.models.twin import FACTOR, outlier_channels


@pytest.fixture(scope="module")
def pair():
    return models.load("reference"), models.load("reference-twin")


def test_logits_are_equal_bit_for_bit(pair):
    data = np.frombuffer(models.held_out_text()[:4096], np.uint8).astype(np.int64)
    tokens = torch.from_numpy(data.reshape(16, 256))
    with torch.inference_mode():
        logits, twin = (model(tokens) for model in pair)
    assert torch.equal(logits.view(torch.int32), twin.view(torch.int32))


def test_weights_differ_by_the_factor_only(pair):
    weights, twin = (model.state_dict() for model in pair)
    ratios = torch.cat([(twin[n] / weights[n]).flatten() for n in weights])
    assert set(ratios[~ratios.isnan()].unique().tolist()) == {1 / FACTOR, 1.0, FACTOR}


@pytest.mark.parametrize("layer", range(4))
@pytest.mark.parametrize(
    ("place", "linear"),
    [
        ("input_layernorm", "self_attn.q_proj"),
        ("post_attention_layernorm", "mlp.gate_proj"),
        ("up_proj", "mlp.down_proj"),
    ],
)
def test_the_known_channels_are_the_outliers(pair, layer, place, linear):
    name = f"layers.{layer}.{linear}"
    text = models.held_out_text()
    inputs, twin = (capture_inputs(model, text, [name], tokens=256)[name] for model in pair)
    changed = np.flatnonzero((inputs != twin).any(axis=0))
    np.testing.assert_array_equal(changed, outlier_channels(layer, place, inputs.shape[1]))
    np.testing.assert_array_equal(twin[:, changed], inputs[:, changed] * FACTOR)


def test_the_twin_needs_no_torch_to_be_looked_at():
    name = "layers.0.input_layernorm.weight"
    ratio = models.tensors("reference-twin")[name] / models.tensors("reference")[name]
    assert sorted(np.unique(ratio)) == [1.0, FACTOR]
