"""Open layers: what they give, what their gradients are, and what they become when closed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import workbench as wb
from workbench.models.quantized_linear import QuantizedLinear
from workbench.models.tunable import TunableLinear, takes_channels
from workbench.models.tunable_rounding import rounded, spread
from workbench.quantizers import Calibration, Layer, Recipe

RECIPES = (
    "w=int4/g16",
    "w=int3/g16+zp",
    "w=int2/g16+mean",
    "w=int4/tensor",
    "w=int4/t8x16*f16",
    "w=mxfp4",
    "w=nvfp4",
    "w=nf4/b16",
    "w=e4m3fn",
    "a=e4m3fn/token",
    "smooth w=int8/channel a=int8/tensor static",
    "center w=int8/channel a=int8/tensor+zp static",
    "hadamard w=int4/channel a=int4/token",
    "smooth sort hadamard w=int4/channel a=int8/channel static",
    "w=int4/g16 a=mxfp4",
    "w=int3/g16 low_rank(4) bias_correction",
    "w=int8/channel a=int8/token outlier_columns",
    "w=int4/g16 clip kv=int4/token",
)


@pytest.fixture(scope="module")
def layer():
    random = np.random.default_rng(0)
    weight = random.standard_normal((24, 64)).astype(np.float32) * 0.1
    return Layer(weight, random.standard_normal(24).astype(np.float32))


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(1)
    sizes = np.exp(random.standard_normal(64))
    return (random.standard_normal((3, 40, 64)) * sizes + 0.5).astype(np.float32)


@pytest.fixture(scope="module")
def made(layer, rows):
    """Quantized layers by the text of their recipes."""
    known = Calibration.of(rows)
    return {text: Recipe.parse(text).apply(layer, known) for text in RECIPES}


def rewritten(layer, made):
    """The float weight that the codes of a quantized layer stand for."""
    weight = layer.weight
    for step in made.rewrite.steps:
        weight = step.weights(weight)
    return weight


def gap(found, exact):
    """The largest difference over the largest value."""
    return float((found.detach() - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize("text", RECIPES)
@pytest.mark.parametrize("trained", [("scales", "ranges", "low_rank"), ("clips", "channels")])
def test_an_open_layer_gives_what_the_quantized_one_gives(text, trained, made, layer, rows):
    quantized, x = made[text], torch.from_numpy(rows)
    free = "channels" in trained and takes_channels(quantized)
    channels = nn.Parameter(torch.zeros(64)) if free else None
    tunable = TunableLinear(quantized, trained, rewritten(layer, quantized), channels)
    exact = QuantizedLinear(quantized)(x)
    assert gap(tunable(x), exact) < 2e-6
    closed = QuantizedLinear(tunable.made())
    assert gap(closed(x), exact) < 2e-6
    assert closed.layer.nbytes == quantized.nbytes


@pytest.mark.parametrize("text", [text for text in RECIPES if "w=" in text and "e4m3" not in text])
def test_codes_stay_while_scales_move(text, made):
    quantized = made[text]
    tunable = TunableLinear(quantized, ("scales",))
    if "scales" not in tunable.free():  # a part of the weight is kept beside it
        assert "outlier" in text
        return
    for parameter in tunable.free()["scales"]:
        parameter.data.uniform_(-0.2, 0.2, generator=torch.Generator().manual_seed(0))
    closed = tunable.made().weight
    assert np.array_equal(closed.codes, quantized.weight.codes)
    assert not np.array_equal(closed.scales, quantized.weight.scales) or "mx" in text
    assert np.allclose(closed.dequantize(), tunable.weight().detach().numpy(), atol=1e-7)


@pytest.mark.parametrize("text", ["w=int4/g16", "w=int3/g16+zp", "w=int4/t8x16*f16", "w=nvfp4"])
def test_clips_shrink_the_range_of_each_block(text, made, layer):
    quantized = made[text]
    tunable = TunableLinear(quantized, ("clips",), layer.weight)
    [shares] = tunable.free()["clips"]
    shares.data[0] = -0.5
    closed = tunable.made().weight
    ratio = closed.scales / quantized.weight.scales
    assert np.allclose(ratio[0], np.exp(-0.5), rtol=0.07)
    assert np.allclose(ratio[1:], 1)
    assert np.allclose(closed.dequantize(), tunable.weight().detach().numpy(), atol=1e-7)


def test_channels_change_nothing_before_rounding(layer, rows):
    x, known = torch.from_numpy(rows), Calibration.of(rows)
    exact = x @ torch.from_numpy(layer.weight).T + torch.from_numpy(layer.bias)
    for text in ("w=int4/channel a=int8/tensor static", "center hadamard w=int4/g16"):
        quantized = Recipe.parse(text).apply(layer, known)
        channels = nn.Parameter(torch.linspace(-2, 2, 64))
        tunable = TunableLinear(quantized, ("channels",), rewritten(layer, quantized), channels)
        tunable.exact = True
        assert gap(tunable(x), exact) < 1e-5
        tunable.exact = False
        closed = QuantizedLinear(tunable.made())
        assert torch.allclose(closed(x), tunable(x), atol=1e-5)
        assert type(closed.layer.rewrite.steps[-1]).__name__ == "Scaling"


def straight(x):
    """Rounded, with the gradient of the value itself."""
    return x + (x.round() - x).detach()


def clipped(place, zero):
    """Places in steps, within the codes -8 to 7."""
    return torch.maximum(torch.minimum(place, 7 - zero), -8 - zero)


ORACLES = {
    "int4/tensor": lambda x, s, z: straight((x / s).clamp(-8, 7)) * s,
    "int4/channel": lambda x, s, z: straight((x / s).clamp(-8, 7)) * s,
    "int4/tensor+zp": lambda x, s, z: straight(clipped(x / s, z)) * s,
    "int4/tensor+mean": lambda x, s, m: straight(((x - m) / s).clamp(-8, 7)) * s + m,
}


@pytest.mark.parametrize("text", ORACLES)
def test_gradients_are_those_of_a_rounding_written_in_torch(text):
    """Torch differentiates the formula itself; only nearest rounding passes straight through."""
    generator = torch.Generator().manual_seed(0)
    x = (3 * torch.randn(6, 50, generator=generator)).requires_grad_(True)
    rows = 6 if "channel" in text else 1
    scales = (0.4 + 0.1 * torch.rand(rows, 1, generator=generator)).requires_grad_(True)
    zeros = None
    if "+" in text:
        zeros = torch.full((1, 1), 2.0 if "zp" in text else 0.7).requires_grad_(True)
    wanted = [x, scales] if zeros is None else [x, scales, zeros]
    found = rounded(x, scales, zeros, wb.scheme(text))
    exact = ORACLES[text](x, scales, zeros)
    assert torch.allclose(found, exact, atol=1e-5)
    weights = torch.randn(6, 50, generator=generator)
    mine, theirs = (torch.autograd.grad((y * weights).sum(), wanted) for y in (found, exact))
    for one, other in zip(mine, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    outside = (found.detach() - x.detach()).abs() > 0.51 * scales.detach()
    assert outside.any()
    assert not mine[0][outside].any()


def test_gradients_reach_the_channels_through_both_operands(layer, rows):
    """With fine grids the factors hardly matter, with coarse ones a step down them helps."""
    x, known = torch.from_numpy(rows[:1]), Calibration.of(rows)
    exact = x @ torch.from_numpy(layer.weight).T + torch.from_numpy(layer.bias)
    sizes = {}
    for bits in (4, 16):
        recipe = f"w=int{bits}/channel a=int{bits}/tensor static"
        quantized = Recipe.parse(recipe).apply(layer, known)
        channels = nn.Parameter(torch.zeros(64))
        tunable = TunableLinear(quantized, ("channels",), layer.weight, channels)
        loss = ((tunable(x) - exact) ** 2).mean()
        [slope] = torch.autograd.grad(loss, [channels])
        sizes[bits] = float(slope.norm())
        if bits == 4:
            channels.data -= 0.05 * slope / slope.norm()
            assert ((tunable(x) - exact) ** 2).mean() < loss
    assert sizes[16] < 1e-3 * sizes[4]


def test_the_gradient_of_a_rewrite_is_that_of_its_matrix(layer, rows):
    quantized = Recipe.parse("center hadamard").apply(layer, Calibration.of(rows))
    x = torch.from_numpy(rows[0]).requires_grad_(True)
    weights = torch.randn(40, 24, generator=torch.Generator().manual_seed(0))
    [found] = torch.autograd.grad((TunableLinear(quantized, ())(x) * weights).sum(), [x])
    exact = weights @ torch.from_numpy(layer.weight)
    assert torch.allclose(found, exact, atol=1e-5)


def test_spread_is_what_layouts_do():
    for text, shape in (("int4/g8", (4, 20)), ("int4/t3x8", (7, 20)), ("int4/tensor", (3, 5))):
        layout = wb.scheme(text).fit(np.ones(shape)).layout
        numbers = np.random.default_rng(0).random(layout.scale_shape)
        found = spread(layout, torch.from_numpy(numbers)).numpy()
        assert np.array_equal(found, layout.spread(numbers))
