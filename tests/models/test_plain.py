"""A recipe on the linear layers of any torch network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from workbench.errors import WorkbenchError
from workbench.models.plain import quantize_module, readers
from workbench.models.quantized_linear import QuantizedLinear
from workbench.quantizers import Calibration, Layer, Recipe


class Branches(nn.Module):
    """Two layers read one tensor, a third what is written over it in place."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.last = (nn.Linear(16, 16) for _ in range(3))

    def forward(self, x):
        x = x + 1
        both = self.left(x) * self.right(x)
        return both + self.last(x.relu_())


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Branches().eval()


@pytest.fixture(scope="module")
def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(40, 16, generator=generator) for _ in range(3)]


def test_layers_that_read_the_same_go_together(network, batches):
    found = readers(network, dict(network.named_children()), batches[0])
    assert found == [("left", "right"), ("last",)]


def test_each_layer_is_what_the_recipe_makes_of_it(network, batches):
    recipe = Recipe.parse("smooth w=int4/channel gptq a=int8/tensor static [last: w=int8/channel]")
    before = {name: x.clone() for name, x in network.state_dict().items()}
    made = quantize_module(network, recipe, batches)
    x = torch.cat(batches) + 1
    pair = [Layer.of(getattr(network, name), name) for name in ("left", "right")]
    for layer, expected in zip(pair, recipe.apply_together(pair, Calibration.of(x)), strict=True):
        found = getattr(made, layer.name).layer
        assert np.array_equal(found.matrix, expected.matrix)
        assert np.array_equal(found.rewrite.steps[0].factors, expected.rewrite.steps[0].factors)
        assert found.activations.fixed.scales == expected.activations.fixed.scales
    assert str(made.last.layer.weight.scheme) == "int8/channel"
    for name, x in network.state_dict().items():
        assert torch.equal(x, before[name])


def test_rewrites_alone_change_nothing(network, batches):
    made = quantize_module(network, "smooth center hadamard", batches)
    exact, found = (one(batches[0]).detach() for one in (network, made))
    assert torch.allclose(found, exact, atol=1e-5 * float(exact.abs().max()))


def test_a_prefix_calibrates_on_quantized_inputs(batches):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    recipe = "w=int2/channel a=int8/tensor static"
    apart, prefix = (quantize_module(network, recipe + more, batches) for more in ("", " prefix"))
    assert np.array_equal(apart[0].layer.matrix, prefix[0].layer.matrix)
    x = apart[0](torch.cat(batches)).relu()
    fixed = [one[2].layer.activations.fixed.scales.item() for one in (apart, prefix)]
    assert fixed[1] == pytest.approx(float(x.max()) / 127)
    assert fixed[0] != fixed[1]


def test_overrides_may_leave_a_layer_in_float(network):
    made = quantize_module(network, "w=int4/g8 [last: float]")
    assert isinstance(made.left, QuantizedLinear)
    assert isinstance(made.last, nn.Linear)


def test_refusals(network, batches):
    with pytest.raises(WorkbenchError, match=r"no torch\.nn\.Linear"):
        quantize_module(nn.ReLU(), "w=int4")
    with pytest.raises(WorkbenchError, match=r"left.*none were given"):
        quantize_module(network, "w=int4/g8 gptq")
    with pytest.raises(WorkbenchError, match="trained across a model"):
        quantize_module(network, "w=int4/g8 distill", batches)
