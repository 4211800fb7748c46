"""A learned binary point: its gradient, where it ends, and its sums and products in hardware."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.formats.fixed_arithmetic import OVERFLOWS, QUANTIZATIONS, FixedType, add, multiply
from workbench.training import LearnedPoint, papers, stream
from workbench.training.fixed_point import fit_fraction, fixed_point, usual_fraction
from workbench.training.linear import PLAIN
from workbench.training.straight_through import straight_through

FRACTIONS = range(-6, 14)
BEST = {0.03: 10, 0.3: 7, 1.0: 5, 5.0: 2, 40.0: -1}  # of 8 bits for N(0, sigma)


@cache
def _normal(sigma: float) -> torch.Tensor:
    return sigma * torch.randn(1 << 17, generator=torch.Generator().manual_seed(0))


def _error(x: torch.Tensor, fraction: int) -> float:
    return (fixed_point(x, torch.tensor(float(fraction))) - x).square().mean().item()


@pytest.mark.parametrize("fraction", [-2, 0, 3, 7])
def test_values_are_those_of_the_format(fraction):
    x = 4 * torch.randn(1000, generator=torch.Generator().manual_seed(0))
    want = wb.formats.IntegerFormat(8, fraction=fraction).round(x)
    assert torch.equal(fixed_point(x, torch.tensor(float(fraction))), want)
    assert torch.equal(fixed_point(x, torch.tensor(fraction + 0.4)), want)


def test_gradients_are_the_error_inside_and_the_end_outside():
    x = torch.tensor([0.3, -1.27, 500.0, -500.0], dtype=torch.float64, requires_grad=True)
    fraction = torch.tensor(3.2, dtype=torch.float64, requires_grad=True)
    y = fixed_point(x, fraction)
    step = 2.0**-3
    inside = x.detach() / step
    bracket = torch.where(inside.abs() < 127, inside.round() - inside, inside.clamp(-128, 127))
    for i in range(4):
        (slope,) = torch.autograd.grad(y[i], fraction, retain_graph=True)
        assert slope.item() == pytest.approx(-math.log(2) * step * bracket[i].item())
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("sigma", BEST)
def test_learning_from_the_maximum_ends_near_the_best(sigma):
    x = _normal(sigma)
    errors = {fraction: _error(x, fraction) for fraction in FRACTIONS}
    assert min(errors, key=errors.get) == BEST[sigma]
    assert _error(x, fit_fraction(x)) <= 1.25 * min(errors.values())


def _naive(x: torch.Tensor, start: float, steps: int = 200) -> float:
    """The error where descent ends if the rounding of the values passes no gradient."""
    fraction = torch.tensor(float(start), requires_grad=True)
    optimizer = torch.optim.Adam([fraction], lr=0.05)
    for _ in range(steps):
        step = torch.exp2(-straight_through(fraction, torch.round))
        y = (x / step.detach()).round().clamp(-128, 127) * step
        optimizer.zero_grad()
        (y - x).square().mean().backward()
        optimizer.step()
    return _error(x, round(fraction.item()))


def test_the_naive_gradient_is_trapped_where_everything_rounds_to_zero():
    x = _normal(0.3)
    best = _error(x, BEST[0.3])
    fraction = torch.tensor(-6.0, requires_grad=True)
    step = torch.exp2(-fraction)
    ((x / step.detach()).round() * step - x).square().mean().backward()
    assert fraction.grad == 0
    assert _naive(x, -6) == _error(x, -6) > 64 * best
    fraction.grad = None
    (fixed_point(x, fraction) - x).square().mean().backward()
    assert fraction.grad < 0  # the one that passes asks for more bits behind the point


def test_it_begins_where_the_first_values_just_fit():
    for amax, fraction in [(0.9, 7), (1.0, 7), (1.1, 6), (127.0, 0), (300.0, -2)]:
        assert usual_fraction(amax) == fraction
        point = LearnedPoint(8)
        point(torch.tensor([amax, -amax / 3]))
        assert point.fraction.item() == fraction
        point(torch.tensor([1e6]))
        assert point.fraction.item() == fraction
    with pytest.raises(WorkbenchError, match="pass values through the module first"):
        _ = LearnedPoint(8).fraction


def test_eight_bits_with_learned_points_train_like_float32(trained):
    plain = trained(PLAIN)[1][0]
    model, (learned,) = stream.run(papers.qfx(8), seeds=(0,))
    assert learned.loss <= plain.loss + 0.02
    points = [m.fraction.item() for m in model.modules() if isinstance(m, LearnedPoint)]
    assert len(points) == 4
    assert any(abs(f - round(f)) > 1e-3 for f in points)


@pytest.mark.parametrize("overflow", OVERFLOWS)
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_tensors_compute_what_the_hardware_does(quantization, overflow):
    """Exact products and sums of tensors, assigned with the gradient passing, bit for bit."""
    rng = np.random.default_rng(0)
    types = FixedType(12, 4), FixedType(10, 6)
    out = FixedType(9, 5, True, quantization, overflow)
    a, b = (rng.integers(t.low, t.high + 1, 20_000) for t in types)
    x, y = (
        torch.from_numpy(t.decode(c)).requires_grad_() for t, c in zip(types, (a, b), strict=True)
    )
    product, total = straight_through(x * y, out), straight_through(x + y, out)
    assert np.array_equal(out.encode(product), multiply(a, b, types, out))
    assert np.array_equal(out.encode(total), add(a, b, types, out))
    product.sum().backward()
    assert torch.equal(x.grad, y)


def test_values_without_an_error_are_refused():
    for x in ([], [1.0, math.inf]):
        with pytest.raises(WorkbenchError, match="pass finite values"):
            fit_fraction(np.array(x))
