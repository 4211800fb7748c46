"""Adapters of one bit a weight on frozen features, beside float32 ones."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

import workbench as wb
from workbench.training import Adapter, stream
from workbench.training.adapters import BINARY, AdaptedFeatures
from workbench.training.loop import score, train

WIDTH, HIDDEN, STEPS = 256, 32, 300


@cache
def _accuracy(hidden: int, weight: str | None) -> float:
    """The mean held-out accuracy on STREAM64 of two seeds."""
    found = []
    for seed in range(2):
        model = AdaptedFeatures(64, WIDTH, 10, hidden, weight, seed)
        data = ((x[0], y[0]) for x, y in stream.batches((seed,), STEPS))
        train(model, data, STEPS, 3e-3)
        found.append(score(model, *stream.held_out()).accuracy)
    return float(np.mean(found))


def test_one_bit_is_within_a_point_and_a_half_of_float32():
    """[107] And better than a float32 adapter of the same bytes, whose middle is 1/32 as wide."""
    assert _accuracy(HIDDEN, BINARY) >= _accuracy(HIDDEN, None) - 0.015
    assert _accuracy(HIDDEN, BINARY) > _accuracy(1, None)


def test_an_adapter_begins_close_to_nothing_but_not_at_it():
    adapter = Adapter(64, 8)
    x = torch.randn(10, 64)
    change = (adapter(x) - x).abs().max()
    assert 0 < change < 0.02
    assert adapter.up.weight.abs().max() <= 2e-3


def test_its_matrices_have_two_values_and_eight_bytes_more_than_their_bits():
    adapter = Adapter(64, 8)
    for layer in (adapter.down, adapter.up):
        rounded = layer.quantize_weight(layer.weight).detach()
        assert torch.unique(rounded).numel() == 2
        stored = wb.scheme(BINARY).quantize(layer.weight)
        assert stored.nbytes == 64 * 8 // 8 + 8
        assert np.array_equal(stored.dequantize(), rounded.numpy())


def test_only_adapter_and_reader_are_trained():
    model = AdaptedFeatures(64, 32, 10, hidden=4)
    before = model.frozen.clone()
    data = ((x[0], y[0]) for x, y in stream.batches((0,), 3))
    train(model, data, 3, 3e-3)
    assert torch.equal(model.frozen, before)
    names = {name for name, _ in model.named_parameters()}
    assert names == {"adapter.down.weight", "adapter.up.weight", "reader.weight", "reader.bias"}


def test_the_gradient_passes_the_codes():
    adapter = Adapter(16, 4)
    adapter(torch.randn(5, 16)).sum().backward()
    assert all(p.grad.abs().max() > 0 for p in adapter.parameters())


@pytest.mark.parametrize("hidden", [0, 4])
def test_a_seed_is_a_start(hidden):
    a, b = (AdaptedFeatures(8, 16, 3, hidden, seed=5) for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
