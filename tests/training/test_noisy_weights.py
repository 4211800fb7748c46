"""Noise whose bits are learned: its gradient, its values, and a network that trains under it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from workbench.errors import WorkbenchError
from workbench.training import LearnedBits, papers, rounded_normal, stream, with_noise
from workbench.training.linear import PLAIN
from workbench.training.loop import score, train
from workbench.training.noisy_weights import mean_excess, noisy


def _weights(rows: int = 64, cols: int = 80, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(rows, cols, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_values_are_those_of_the_noise_without_gradients():
    w, bits = _weights(), torch.tensor([[4.0, 5.0, 6.0], [6.5, 3.0, 8.0]], dtype=torch.float64)
    found = noisy(w, bits, seed=7).numpy()
    np.testing.assert_allclose(found, with_noise(w, bits.numpy(), seed=7), rtol=1e-12)


def test_the_slope_in_the_bits_is_that_of_the_formula():
    """[98] d w / d b = -ln 2 R max|w| 2^(1 - b), summed over the block."""
    w = _weights()
    bits = torch.full((2, 3), 4.5, dtype=torch.float64, requires_grad=True)
    slope = torch.randn(64, 80, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (noisy(w, bits, seed=3) * slope).sum().backward()
    r = torch.from_numpy(rounded_normal((64, 80), 3)).double()
    for i in range(2):
        for j in range(3):
            part = np.s_[32 * i : 32 * i + 32, 32 * j : min(32 * j + 32, 80)]
            step = w[part].abs().max() * 2.0 ** (1 - 4.5)
            want = (-math.log(2) * r[part] * step * slope[part]).sum()
            assert bits.grad[i, j].item() == pytest.approx(want.item(), rel=1e-9)


def test_autograd_agrees_with_differences():
    w = _weights(8, 8)
    bits = torch.full((2, 2), 5.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: noisy(w, b, block=4), (bits,))


def test_the_gradient_of_the_weights_passes():
    w = _weights().requires_grad_()
    slope = _weights(dtype=torch.float64) ** 2
    (noisy(w, torch.tensor(4.0, dtype=torch.float64)) * slope.detach()).sum().backward()
    assert torch.equal(w.grad, slope.detach())


def test_bits_begin_at_their_start_and_noise_is_only_for_training():
    module, w = LearnedBits(6, 4), _weights(40, 33, torch.float32)
    torch.manual_seed(0)
    first, second = module(w), module(w)
    assert module.bits.shape == (2, 2)
    assert (module.bits == 6).all()
    assert not torch.equal(first, second)
    module.eval()
    assert torch.equal(module(w), w.bfloat16().float())
    assert torch.equal(first, first.bfloat16().float())


def test_a_network_keeps_its_loss_while_bits_fall_to_their_target(trained):
    plain = trained(PLAIN)[1][0]
    model = stream.Network(papers.gaussian_sampling(6, 4), (0,))
    data = stream.batches((0,))
    penalty = 0.1
    train(model, data, 800, 3e-3, penalty=lambda m: penalty * mean_excess(m), replicas=1)
    (learned,) = score(model, *stream.held_out())
    assert learned.loss <= plain.loss + 0.02
    found = [m.bits for m in model.modules() if isinstance(m, LearnedBits)]
    bits = torch.cat([b.flatten() for b in found])
    assert 3.9 < bits.mean() < 5
    assert bits.std() > 0.05  # each block has found its own


def test_bits_go_down_and_belong_to_weights():
    with pytest.raises(WorkbenchError, match="learned downwards"):
        LearnedBits(4, 6)
    with pytest.raises(WorkbenchError, match="pass the weight through"):
        _ = LearnedBits().bits
    with pytest.raises(WorkbenchError, match="without LearnedBits"):
        mean_excess(torch.nn.Linear(2, 2))
    with pytest.raises(WorkbenchError, match="squares of a matrix"):
        LearnedBits()(torch.zeros(3))
