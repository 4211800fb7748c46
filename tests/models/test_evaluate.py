"""Evaluation states its protocol, agrees with its definition, and ranks schemes by their bits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models.evaluate import accuracy, embedding_agreement, evaluate
from workbench.models.quantize import quantize
from workbench.models.windows import overlapping

TEXT = models.held_out_text()[4096 : 4096 + 1025]


@pytest.fixture(scope="module")
def model():
    return models.load("reference")


@pytest.mark.parametrize("stride", [1, 3, 7, 8])
@pytest.mark.parametrize("length", [2, 9, 17, 40])
def test_every_byte_but_the_first_is_scored_once(stride, length):
    ids = torch.arange(length)
    scored = [n for window, new in overlapping(ids, 8, stride) for n in window[-new:].tolist()]
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
    other = quantize("reference", "w=int3/g32").module
    tokens = torch.tensor(list(TEXT[:256]))[None]
    with torch.inference_mode():
        p, q = (m(tokens)[0].double().softmax(-1) for m in (model, other))
    expected = (p * (p / q).log()).sum(-1).mean().item()
    assert evaluate(other, TEXT[:257], model).kl == pytest.approx(expected, rel=1e-4)


def test_kl_falls_with_every_bit(model):
    found = [
        evaluate(quantize("reference", f"w=int{bits}/g32"), TEXT, model) for bits in range(2, 9)
    ]
    assert all(fewer.kl > more.kl for fewer, more in pairwise(found))
    assert found[-1].agreement > found[0].agreement


def test_intervals_hold_the_figure_and_pairs_are_narrower(model):
    three, four = (
        evaluate(quantize("reference", f"w=int{bits}/g32"), TEXT, model) for bits in (3, 4)
    )
    low, high = three.interval("kl")
    assert low < three.kl < high
    gap, low, high = three.difference(four, "loss")
    assert gap == pytest.approx(three.loss - four.loss)
    apart = np.subtract(*three.interval("loss")[::-1])
    assert low <= gap <= high
    assert high - low < apart
    with pytest.raises(WorkbenchError, match="window by window"):
        three.difference(evaluate(model, TEXT[:257], model))


def test_each_window_of_a_batch_has_its_own_range():
    tokens = torch.tensor(list(TEXT[:512])).view(2, 256)
    quantized = quantize("reference", "w=int8/channel a=int8/tensor")
    together = quantized.run(tokens)
    alone = quantized.run(tokens[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=1e-4)


def test_the_twin_suffers_from_one_scale_a_window(model):
    recipe = "w=int8/channel a=int8/tensor"
    plain, twin = (
        evaluate(quantize(name, recipe), TEXT, model) for name in ("reference", "reference-twin")
    )
    assert twin.loss > plain.loss + 0.02
    assert twin.kl > 10 * plain.kl


def test_agreement_of_embeddings():
    random = torch.Generator().manual_seed(0)
    exact = torch.nn.functional.normalize(torch.randn(40, 16, generator=random), dim=-1)
    near = torch.nn.functional.normalize(
        exact + 0.05 * torch.randn(40, 16, generator=random), dim=-1
    )
    found = embedding_agreement(exact, near)
    assert 0.9 < found["cosine_low"] < found["cosine"] < found["cosine_high"] < 1
    assert 0.5 < found["retrieval"] <= 1


def test_accuracy_is_the_share_of_right_labels():
    assert accuracy(lambda x: x, torch.eye(3), [0, 1, 0]) == pytest.approx(2 / 3)


def test_impossible_protocols_are_refused(model):
    with pytest.raises(WorkbenchError, match="write 1 to 256"):
        evaluate(model, TEXT, stride=300)
    with pytest.raises(WorkbenchError, match="text of 1 tokens"):
        evaluate(model, b"x")
    with pytest.raises(WorkbenchError, match="context 300"):
        evaluate(model, TEXT, context=300)
