"""Which modules are norms, and batch statistics found again on what a network is given."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models.distances import distance
from workbench.models.norms import norms_of, reestimate_norms
from workbench.models.plain import quantize_module


@pytest.fixture(scope="module")
def network():
    """Linear layers with batch norms whose statistics are those of its own inputs."""
    torch.manual_seed(0)
    parts = [nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU()]
    parts += [nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 8)]
    made = nn.Sequential(*parts).eval()
    reestimate_norms(made, batches(0))
    return made


def batches(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, 16, generator=generator) for rows in (200, 40, 1)]


def test_norms_by_name():
    assert len(norms_of(models.load("reference"))) == 9
    network = nn.Sequential(nn.BatchNorm2d(3), nn.LayerNorm(3, elementwise_affine=False))
    assert list(norms_of(network)) == ["0"]


def test_statistics_are_those_of_the_inputs_in_the_end(network):
    data = batches(1)
    made = quantize_module(network, "w=int3/channel")
    assert reestimate_norms(made, data) == 2
    x = torch.cat(data)
    for place in (1, 4):
        given = made[:place](x).double()
        assert torch.allclose(made[place].running_mean.double(), given.mean(0), atol=1e-6)
        assert torch.allclose(made[place].running_var.double(), given.var(0), rtol=1e-5)
    assert not torch.equal(made[1].running_mean, network[1].running_mean)


def test_one_batch_is_what_torch_keeps_of_it():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5, momentum=1.0))
    x = torch.randn(6, 3, 9, 7)
    network.train()(x)
    mean, variance = network[1].running_mean.clone(), network[1].running_var.clone()
    network[1].reset_running_stats()
    reestimate_norms(network.eval(), x.split(2))
    assert torch.allclose(network[1].running_mean, mean, atol=1e-6)
    assert torch.allclose(network[1].running_var, variance, rtol=1e-5)


def test_it_gives_back_what_quantization_took(network):
    x = torch.cat(batches(2))
    made = quantize_module(network, "w=int2/channel")
    before = distance("mse", network(x), made(x)).item()
    reestimate_norms(made, batches(3))
    assert distance("mse", network(x), made(x)).item() < 0.9 * before


def test_refusals(network):
    with pytest.raises(WorkbenchError, match="0 batch norms"):
        reestimate_norms(nn.Sequential(nn.LayerNorm(4)).eval(), [torch.ones(1, 4)])
    with pytest.raises(WorkbenchError, match="0 batches"):
        reestimate_norms(network, [])
    with pytest.raises(WorkbenchError, match="training mode"):
        reestimate_norms(nn.Sequential(nn.BatchNorm1d(4)), [torch.ones(2, 4)])
