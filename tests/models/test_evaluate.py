"""Evaluation states its protocol, agrees with its definition, and ranks schemes by their bits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models.evaluate import (
    activation_table,
    block_linears,
    evaluate,
    weight_bits,
    weight_table,
    windows,
    with_inputs,
    with_weights,
)

TEXT = models.held_out_text()[4096 : 4096 + 1025]


@pytest.fixture(scope="module")
def model():
    return models.load("reference")


@pytest.mark.parametrize("stride", [1, 3, 7, 8])
@pytest.mark.parametrize("length", [2, 9, 17, 40])
def test_every_byte_but_the_first_is_scored_once(stride, length):
    text = bytes(range(length))
    scored = [byte for window, new in windows(text, 8, stride) for byte in window[-new:].tolist()]
    assert scored == list(range(1, length))


def test_the_loss_is_the_mean_negative_log_probability(model):
    tokens = torch.tensor(list(TEXT[:257]))
    with torch.inference_mode():
        probabilities = model(tokens[None, :-1])[0].double().softmax(-1)
    expected = -probabilities[torch.arange(256), tokens[1:]].log().mean().item()
    assert abs(evaluate(model, TEXT[:257]).loss - expected) < 1e-6


def test_more_past_predicts_better_and_the_protocol_is_stated(model):
    apart, overlapping = (evaluate(model, TEXT, stride=stride) for stride in (256, 64))
    assert overlapping.loss < apart.loss
    assert (overlapping.scored, overlapping.stride, overlapping.context) == (1024, 64, 256)


def test_kl_to_itself_is_zero_and_to_another_is_its_definition(model):
    same = evaluate(model, TEXT[:257], model)
    assert (same.kl, same.agreement) == (0.0, 1.0)
    other = with_weights(model, "int3/g32")
    tokens = torch.tensor(list(TEXT[:256]))[None]
    with torch.inference_mode():
        p, q = (m(tokens)[0].double().softmax(-1) for m in (model, other))
    expected = (p * (p / q).log()).sum(-1).mean().item()
    assert evaluate(other, TEXT[:257], model).kl == pytest.approx(expected, rel=1e-4)


def test_kl_falls_with_every_bit(model):
    rows = weight_table([f"int{bits}/g32" for bits in range(2, 9)], TEXT, model)
    kl = [row["kl"] for row in rows[1:]]
    assert rows[0]["scheme"] == "float32"
    assert all(fewer > more for fewer, more in pairwise(kl))
    assert rows[-1]["agreement"] > rows[1]["agreement"]


def test_only_the_block_linears_change(model):
    quantized = with_weights(model, "int4/g32")
    touched = {f"{name}.weight" for name in block_linears(model)}
    assert len(touched) == 28
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, quantized.state_dict()[name]) == (name not in touched)


def test_bits_count_the_scales(model):
    assert weight_bits(model, "mxfp4") == 4.25
    assert weight_bits(model, "e4m3fn") == 8.0
    assert weight_bits(model, "int4/g32") > 4.0


def test_inputs_are_rounded_only_while_asked(model):
    before = evaluate(model, TEXT[:257]).loss
    with with_inputs(model, "int4/tensor"):
        inside = evaluate(model, TEXT[:257]).loss
    assert inside > before + 0.05
    assert evaluate(model, TEXT[:257]).loss == before


def test_each_window_has_its_own_range(model):
    tokens = torch.tensor(np.frombuffer(TEXT[:512], np.uint8).astype(np.int64)).view(2, 256)
    with with_inputs(model, "int8/tensor"), torch.inference_mode():
        together = model(tokens)
        alone = model(tokens[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=1e-4)


def test_the_twin_suffers_from_one_scale_a_window():
    rows = {(row["model"], row["activations"]): row for row in activation_table(TEXT)}
    model, twin = (rows[name, "int8/tensor"] for name in ("reference", "reference-twin"))
    assert twin["loss"] > model["loss"] + 0.02
    assert twin["kl"] > 10 * model["kl"]


def test_impossible_protocols_are_refused(model):
    with pytest.raises(WorkbenchError, match="write 1 to 256"):
        evaluate(model, TEXT, stride=300)
    with pytest.raises(WorkbenchError, match="text of 1 bytes"):
        evaluate(model, b"x")
    with pytest.raises(WorkbenchError):
        with_weights(model, "int99/g32")
