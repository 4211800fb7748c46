"""Gradients past roundings, and a linear layer's three products against plain matrix algebra."""

from __future__ import annotations

import pytest
import torch

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.formats.fixed_arithmetic import fixed_type
from workbench.training import (
    QuantizedLinear,
    Quantizers,
    Rounding,
    StraightThrough,
    rounded_gradient,
)
from workbench.training.replicas import SideBySide, by_slice
from workbench.training.straight_through import straight_through, within

QUANTIZERS = [
    "int4/channel", "mxfp4", "e4m3fn", "dfp6", "ternary/tensor@absmean", wb.format("e2m1"),
    wb.scheme("int8/g32+zp"), Rounding("e8m1", "toward_zero"), torch.round,
    fixed_type("ap_fixed<6,2,AP_RND,AP_SAT>"),
]  # fmt: skip


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _rounds(quantizer, x: torch.Tensor) -> torch.Tensor:
    if isinstance(quantizer, str):
        return wb.scheme(quantizer).round(x)
    return quantizer.round(x) if hasattr(quantizer, "round") else quantizer(x)


def _named(quantizer) -> str:
    """A name that is the same in every process, which functions do not have of themselves."""
    return getattr(quantizer, "__name__", None) or str(quantizer)


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=_named)
def test_forward_is_the_rounding_bit_for_bit_and_backward_passes(quantizer):
    x = _random(16, 64).requires_grad_()
    y = straight_through(x, quantizer)
    assert torch.equal(y, _rounds(quantizer, x.detach()))
    slope = _random(16, 64, seed=1)
    (y * slope).sum().backward()
    assert torch.equal(x.grad, slope)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_stays_and_strides_do_not_matter(dtype):
    x = _random(8, 32).to(dtype).T.requires_grad_()
    y = straight_through(x, "int4/channel")
    assert y.dtype == dtype
    assert torch.equal(y, wb.scheme("int4/channel").round(x.detach().contiguous()))


def test_a_clipped_estimator_stops_outside():
    x = torch.tensor([-1.5, -1.0, 0.0, 0.3, 1.0001], requires_grad=True)
    straight_through(x, "binary/tensor@absmean", within(1.0)).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]


def test_a_condition_may_ask_for_the_rounding_error():
    x = torch.tensor([0.1, 0.4, 0.9], requires_grad=True)
    straight_through(x, torch.round, lambda a, b: (a - b).abs() < 0.3).sum().backward()
    assert x.grad.tolist() == [1, 0, 1]


def test_gradients_are_rounded_and_values_are_not():
    x, slope = _random(16, 64).requires_grad_(), _random(16, 64, seed=1)
    y = rounded_gradient(x, "mxfp4")
    assert torch.equal(y, x)
    (y * slope).sum().backward()
    assert torch.equal(x.grad, wb.scheme("mxfp4").round(slope))


def test_nothing_to_round_is_the_tensor_itself():
    x = _random(3, 3)
    assert straight_through(x, None) is x
    assert rounded_gradient(x, None) is x


@pytest.mark.parametrize("bias", [True, False])
def test_the_three_products_take_rounded_operands(bias):
    layer = QuantizedLinear(64, 32, Quantizers("int8/token", "int4/channel", "e5m2"), bias=bias)
    x, slope = _random(40, 64).requires_grad_(), _random(40, 32, seed=1)
    y = layer(x)
    (y * slope).sum().backward()
    x_q, w_q = wb.scheme("int8/token").round(x), wb.scheme("int4/channel").round(layer.weight)
    g_q = wb.format("e5m2").round(slope)
    plain = x_q @ w_q.T
    assert torch.equal(y, plain + layer.bias if bias else plain)
    torch.testing.assert_close(x.grad, g_q @ w_q)
    torch.testing.assert_close(layer.weight.grad, g_q.T @ x_q)
    if bias:
        torch.testing.assert_close(layer.bias.grad, slope.sum(0))


def test_a_plain_layer_is_that_of_torch():
    layer, x = QuantizedLinear(16, 8), _random(5, 3, 16)
    torch.testing.assert_close(layer(x), torch.nn.functional.linear(x, layer.weight, layer.bias))


STACKED = [
    "int4/tensor", "int4/channel", "int4/token", "int8/g32+zp", "int3/tensor@mse", "nf4/t8x16",
    "mxfp4", "nvfp4", "e4m3fn", "dfp6", "ternary/tensor@absmean", "median1/tensor+mean@std",
    Rounding("e8m1", "toward_zero"), Rounding("int4/tensor", "toward_zero"), wb.format("e2m1"),
    torch.round, lambda x: x / x.abs().max(),
]  # fmt: skip


@pytest.mark.parametrize("quantizer", STACKED, ids=_named)
def test_a_stack_is_rounded_slice_by_slice(quantizer):
    x = _random(3, 16, 64) * torch.tensor([1.0, 100.0, 1e-3])[:, None, None]
    want = torch.stack([_rounds(quantizer, part) for part in x])
    assert torch.equal(by_slice(quantizer)(x), want)


def test_layers_side_by_side_are_layers():
    quantizers = Quantizers.all("int4/tensor")
    stack = QuantizedLinear(16, 8, quantizers, replicas=3)
    x, slope = _random(3, 10, 16), _random(3, 10, 8, seed=1)
    (stack(x) * slope).sum().backward()
    for i in range(3):
        alone = QuantizedLinear(16, 8, quantizers)
        alone.weight.data, alone.bias.data = stack.weight.data[i], stack.bias.data[i, 0]
        y = alone(x[i])
        (y * slope[i]).sum().backward()
        torch.testing.assert_close(stack(x)[i], y)
        torch.testing.assert_close(stack.weight.grad[i], alone.weight.grad)


class Scaled(torch.nn.Module):
    """A quantizer with a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return x * self.scale


def test_each_layer_learns_its_own_copy_of_a_module():
    module = Scaled()
    first, second = (QuantizedLinear(4, 4, Quantizers(input=module)) for _ in range(2))
    first(torch.ones(1, 4)).sum().backward()
    assert first.quantize_input.scale.grad is not None
    assert second.quantize_input.scale.grad is None
    assert module.scale.grad is None
    stack = SideBySide(module, 2)
    stack.copies[1].scale.data.fill_(2.0)
    assert stack(torch.ones(2, 1, 1)).flatten().tolist() == [1, 2]


def test_what_cannot_round_is_refused():
    with pytest.raises(WorkbenchError, match="cannot round a tensor"):
        straight_through(torch.ones(2), 4)
    with pytest.raises(WorkbenchError, match="scales are shared by"):
        StraightThrough("int4/g")
    with pytest.raises(WorkbenchError, match="draw the same numbers"):
        Rounding("e4m3fn", "stochastic")
    with pytest.raises(WorkbenchError, match="no rounding has this name"):
        Rounding("e4m3fn", "toward_nothing")
