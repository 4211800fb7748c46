"""A packed weight in training: exact gradients, and no float copy of it between the passes."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.quantizers import Calibration
from workbench.quantizers.residuals import LearnedLowRank, LowRank, Remainder
from workbench.training import FrozenBase
from workbench.training.frozen_base import frozen_product

SCHEMES = ("int4/channel", "int2/g16+zp", "mxfp4", "nf4/b16", "e4m3fn", "bitmod4/g16*f16")


def packed(scheme="int4/channel", outputs=24, features=32, seed=0):
    values = np.random.default_rng(seed).standard_normal((outputs, features)).astype(np.float32)
    return wb.scheme(scheme).quantize(values)


def draws(*shape, seed=0, **options):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **options)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_gradient_is_that_of_finite_differences(scheme):
    """[75] In float64, where a difference says it to nine digits."""
    weight = packed(scheme)
    x = draws(3, 32, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: frozen_product(x, weight), x)


def test_outputs_and_gradients_are_those_of_the_float_matrix():
    weight = packed()
    ours, theirs = (draws(2, 5, 32).requires_grad_() for _ in range(2))
    outputs = frozen_product(ours, weight)
    expected = F.linear(theirs, torch.from_numpy(weight.dequantize()))
    assert torch.equal(outputs, expected)
    toward = draws(2, 5, 24, seed=1)
    outputs.backward(toward)
    expected.backward(toward)
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-6, atol=1e-6)


def matrices(least: int) -> int:
    """How many float tensors of some size are alive."""
    gc.collect()
    tensors = (one for one in gc.get_objects() if issubclass(type(one), torch.Tensor))
    return sum(one.is_floating_point() and one.numel() >= least for one in tensors)


def test_no_float_matrix_lives_between_the_passes():
    """[75] Neither among the saved tensors nor anywhere else, in six layers one upon another."""
    size, before, saved = 128, matrices(128 * 128), []
    layers = nn.Sequential(*(FrozenBase(packed(outputs=size, features=size), 4) for _ in range(6)))

    def keep(tensor):
        saved.append(tuple(tensor.shape))
        return tensor

    x = draws(8, size).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = layers(x)
    assert saved
    assert all(np.prod(shape) < size * size for shape in saved)
    assert matrices(size * size) == before
    outputs.sum().backward()
    assert matrices(size * size) == before
    assert x.grad.abs().max() > 0
    alone = frozen_product(x, packed(outputs=size, features=size))
    assert alone.grad_fn.saved_tensors == ()


def test_the_same_layers_in_float_would_be_found():
    size, before = 128, matrices(128 * 128)
    layers = nn.Sequential(*(nn.Linear(size, size) for _ in range(6)))
    assert matrices(size * size) == before + 6
    del layers


def test_only_the_thin_factors_are_trained():
    weight = packed()
    layer = FrozenBase(weight, 4, bias=torch.ones(24))
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {
        "first": (4, 32), "second": (24, 4),
    }  # fmt: skip
    x, before = draws(6, 32), weight.packed.copy()
    start = layer(x)
    assert torch.allclose(start, F.linear(x, torch.from_numpy(weight.dequantize())) + 1, atol=1e-6)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        layer(x).square().sum().backward()
        optimizer.step()
    assert (layer(x) - start).abs().max() > 0.01
    assert np.array_equal(weight.packed, before)
    assert torch.equal(layer.bias, torch.ones(24))


def test_training_comes_to_what_the_residual_finds_through_products():
    """Batch by batch against all rows at once: the same factors but for noise."""
    random = np.random.default_rng(0)
    mixing = random.standard_normal((32, 32)) * np.exp(-np.arange(32) / 6)[:, None]
    rows = (random.standard_normal((2048, 32)) @ mixing).astype(np.float32)
    weight = random.standard_normal((24, 32)).astype(np.float32)
    quantized = wb.scheme("int2/channel").quantize(weight)
    remainder = Remainder(weight, quantized.dequantize(), Calibration.of(rows), lambda x: x)
    start, best = (part.fit(remainder) for part in (LowRank(4), LearnedLowRank(4)))
    layer = FrozenBase(quantized, 4)
    x, exact = torch.from_numpy(rows), torch.from_numpy(rows @ weight.T)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.03)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - step / 600)
        part = slice(256 * (step % 8), 256 * (step % 8) + 256)
        optimizer.zero_grad()
        (layer(x[part]) - exact[part]).square().mean().backward()
        optimizer.step()

    def error(matrix):
        return float(((rows @ (quantized.dequantize() + matrix - weight).T) ** 2).mean())

    found = error((layer.second @ layer.first).detach().numpy())
    assert 0.99 * error(best.weight()) <= found <= 1.1 * error(best.weight())
    assert found < 0.8 * error(start.weight())


def test_a_seed_is_a_start():
    one, same, other = (FrozenBase(packed(), 2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.first, same.first)
    assert not torch.equal(one.first, other.first)
    assert "int4/channel, rank=2" in str(one)


def test_what_cannot_be_is_said():
    with pytest.raises(WorkbenchError, match="a packed matrix"):
        FrozenBase(torch.ones(3, 3), 1)
    with pytest.raises(WorkbenchError, match="a packed matrix"):
        FrozenBase(wb.scheme("int4/tensor").quantize(np.ones(3)), 1)
    for rank in (0, 25):
        with pytest.raises(WorkbenchError, match="24 x 32"):
            FrozenBase(packed(), rank)
    x = draws(2, 32).requires_grad_()
    slope = torch.autograd.grad(frozen_product(x, packed()).sum(), x, create_graph=True)[0]
    assert not slope.requires_grad
