"""Power exponents and real biases against their defining formulas in exact or long arithmetic."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.formats import bias_for

POWERS = [(3, 0.5), (4, 0.5), (4, 0.72), (5, 1.0), (8, 0.6), (8, 1.5)]


@pytest.mark.parametrize(("width", "a"), POWERS)
def test_a_power_format_is_the_integer_grid_of_the_power(width, a):
    f = wb.format(f"pow{width}(a={a})")
    top = 2 ** (width - 1) - 1
    with mpmath.workdps(40):
        exact = [mpmath.mpf(k) / top for k in range(top + 1)]
        exact = [float(v ** (1 / mpmath.mpf(a))) if v else 0.0 for v in exact]
    assert f.values[top:] == pytest.approx(exact, rel=4e-16)
    assert np.array_equal(f.values, -f.values[::-1])
    assert np.array_equal(f.decode(f.encode(f.values)), f.values)
    assert np.isnan(f.decode([1 << (width - 1)])).all()


@pytest.mark.parametrize(("width", "a"), POWERS)
def test_power_formats_round_the_power_not_the_value(width, a):
    f = wb.format(f"pow{width}(a={a})")
    top = 2 ** (width - 1) - 1
    x = np.random.default_rng(width).uniform(-1.2, 1.2, 4000)
    with mpmath.workdps(40):
        steps = [float(mpmath.mpf(abs(v)) ** mpmath.mpf(a) * top) for v in x]
    far = np.abs(np.mod(steps, 1) - 0.5) > 1e-9
    chosen = np.minimum(np.round(steps), top)
    assert np.array_equal(f.round(x)[far], (np.copysign(f.bent(chosen), x) + 0.0)[far])


def test_power_one_is_the_symmetric_integer_grid():
    x = np.random.default_rng(0).standard_normal((8, 64)).astype(np.float32)
    same = wb.scheme("pow4(a=1.0)/channel").round(x), wb.scheme("int4n/channel").round(x)
    assert same[0] == pytest.approx(same[1], abs=1e-6)


def test_powers_are_automorphisms_of_products():
    f = wb.format("pow8(a=0.6)")
    x, y = f.values[140], f.values[200]
    assert (x * y) ** 0.6 == pytest.approx(x**0.6 * y**0.6, rel=1e-12)


@pytest.mark.parametrize(("text", "largest"), [("e2m1(bias=1.0)", 6), ("e3m2(bias=3.0)", 28)])
def test_a_whole_bias_is_the_usual_float(text, largest):
    f = wb.format(text)
    assert f.max == largest
    assert np.array_equal(f.values, wb.format(text[:4]).values)


@pytest.mark.parametrize(("exponent", "mantissa"), [(2, 1), (3, 0), (1, 2), (3, 2), (4, 3)])
@pytest.mark.parametrize("bias", [0.3, 1.75, 4.0, -2.6])
def test_a_real_bias_follows_the_published_formula(exponent, mantissa, bias):
    f = wb.format(f"e{exponent}m{mantissa}(bias={bias})")
    top = (2 - 2.0**-mantissa) * 2 ** (2**exponent - 1 - bias)
    x = np.random.default_rng(1).uniform(-1.3, 1.3, 5000) * top
    clipped = np.clip(x, -top, top)
    with np.errstate(divide="ignore"):
        level = np.maximum(1, np.floor(np.log2(np.abs(clipped)) + bias))
    step = 2.0 ** (level - mantissa - bias)
    assert f.round(x) == pytest.approx(np.round(clipped / step) * step, rel=1e-12, abs=0)
    assert f.max == pytest.approx(top)
    assert bias_for(exponent, mantissa, f.max) == pytest.approx(bias)


def test_a_real_bias_moves_a_scale_into_the_exponent():
    x = np.random.default_rng(2).standard_normal(2000)
    moved = wb.format("e2m1(bias=1.3)").round(x)
    scaled = wb.format("e2m1").round(x * 2**0.3) / 2**0.3
    assert moved == pytest.approx(scaled)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pow4(a=9)", "the exponent lies in 0.05 to 8"),
        ("pow17", "2 to 16 bits"),
        ("e0m3(bias=0.5)", "without exponent bits"),
        ("ue2m1(bias=0.5)", "signed float without special codes"),
        ("e5m2fnuz(bias=0.5)", "signed float without special codes"),
    ],
)
def test_impossible_ones_are_refused_with_the_way_out(text, said):
    with pytest.raises(WorkbenchError, match=said):
        wb.format(text)
