"""Torch modules open as checkpoints: mixed types, shared weights, and the values of the moment."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from workbench import models
from workbench.errors import WorkbenchError


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(6, 4)
        self.linear = nn.Linear(4, 3).to(torch.bfloat16)
        self.narrow = nn.Parameter(torch.arange(3.0).half())
        self.wide = nn.Parameter(torch.arange(2.0).double())
        self.small = nn.Parameter(torch.tensor([0.5, 448.0]).to(torch.float8_e4m3fn), False)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("steps", torch.tensor(7))
        self.register_buffer("hidden", torch.ones(2), persistent=False)


def test_every_weight_comes_as_it_is_and_widened():
    module = Mixed()
    checkpoint = models.from_module(module, "mixed")
    kinds = {info.name: info.dtype for info in checkpoint.infos}
    assert kinds == {
        "narrow": "f16",
        "wide": "f64",
        "small": "f8_e4m3",
        "steps": "i64",
        "embed.weight": "f32",
        "linear.weight": "bf16",
        "linear.bias": "bf16",
    }
    assert checkpoint["linear.weight"].dtype == np.float32
    np.testing.assert_array_equal(
        checkpoint["linear.weight"], module.linear.weight.detach().float()
    )
    assert checkpoint["wide"].dtype == np.float64
    assert checkpoint["small"].tolist() == [0.5, 448.0]
    assert int(checkpoint["steps"]) == 7
    assert checkpoint.info("linear.weight").nbytes == 24
    assert str(checkpoint.path) == "mixed"


def test_a_shared_weight_is_listed_once_and_read_by_each_name():
    checkpoint = models.from_module(Mixed())
    assert "head.weight" not in list(checkpoint)
    assert checkpoint.info("embed.weight").aliases == ("head.weight",)
    assert "head.weight" in checkpoint
    np.testing.assert_array_equal(checkpoint["head.weight"], checkpoint["embed.weight"])
    assert checkpoint.nbytes == sum(info.nbytes for info in checkpoint.infos)


def test_views_of_one_memory_are_told_apart():
    module = nn.Module()
    both = torch.arange(8.0)
    module.first, module.second = nn.Parameter(both[:4]), nn.Parameter(both[4:])
    module.turned = nn.Parameter(both[:4].reshape(2, 2).T)
    checkpoint = models.from_module(module)
    assert len(checkpoint) == 3
    assert checkpoint["second"].tolist() == [4, 5, 6, 7]
    assert checkpoint["turned"].tolist() == [[0, 2], [1, 3]]


def test_values_are_those_of_the_moment_and_cannot_be_changed():
    module = nn.Linear(2, 1)
    checkpoint = models.from_module(module)
    with torch.no_grad():
        module.weight.fill_(3)
    assert checkpoint["weight"].tolist() == [[3, 3]]
    with pytest.raises(ValueError, match="read-only"):
        checkpoint["weight"][0] = 1
    module.weight.data.fill_(4)


def test_what_has_no_values_is_refused_when_read():
    with torch.device("meta"):
        module = nn.Linear(2, 2)
    checkpoint = models.from_module(module)
    assert checkpoint.info("weight").shape == (2, 2)
    with pytest.raises(WorkbenchError, match="has no values yet"):
        checkpoint["weight"]
    with pytest.raises(WorkbenchError, match="a dict → only a torch module has named weights"):
        models.from_module({})
    with pytest.raises(WorkbenchError, match="write 'weight'"):
        checkpoint["wieght"]


def test_an_empty_module_is_an_empty_checkpoint():
    checkpoint = models.from_module(nn.ReLU())
    assert len(checkpoint) == 0
    assert checkpoint.table() == []
