"""Captured activations are what the layers read, token by token."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models.capture import capture_inputs, linear_names


@pytest.fixture(scope="module")
def model():
    return models.load("reference")


def test_every_linear_is_captured_over_all_tokens(model):
    captured = capture_inputs(model, models.held_out_text(), tokens=600)
    assert list(captured) == linear_names(model)
    assert len(captured) == 29
    for name, array in captured.items():
        assert array.shape == (600, 512 if name.endswith("down_proj") else 256)
        assert array.dtype == np.float32


def test_layers_that_read_the_same_tensor_share_the_array(model):
    captured = capture_inputs(model, models.held_out_text(), tokens=256)
    q, k, v = (captured[f"layers.1.self_attn.{name}_proj"] for name in "qkv")
    assert q is k
    assert k is v
    assert captured["layers.1.mlp.gate_proj"] is captured["layers.1.mlp.up_proj"]


def test_the_captured_input_explains_the_logits(model):
    text = models.held_out_text()
    captured = capture_inputs(model, text, ["lm_head"], tokens=256)["lm_head"]
    tokens = torch.tensor(list(text[:256]))[None]
    with torch.inference_mode():
        expected = model(tokens)[0]
        found = model.lm_head(torch.from_numpy(captured))
    torch.testing.assert_close(found, expected)


def test_no_hook_stays_behind(model):
    capture_inputs(model, b"to be", tokens=5)
    assert all(not module._forward_pre_hooks for module in model.modules())


def test_an_unknown_layer_gets_the_nearest(model):
    with pytest.raises(WorkbenchError, match=r"layers\.0\.mlp\.down_proj"):
        capture_inputs(model, b"x", ["layers.0.mlp.down"])
