"""Posits and logarithmic numbers against bits read one by one and integer powers compared."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.formats.reference import decode, round_one

POSITS = [
    (2, 0),
    (3, 2),
    (5, 1),
    (8, 0),
    (8, 1),
    (8, 2),
    (8, 3),
    (11, 2),
    (16, 0),
    (16, 1),
    (16, 2),
]
LOGARITHMS = ["lns1.0", "lns2.1", "lns4.3", "lns5.2", "lns3.5", "lns8.7"]
SOME = ["posit5(es=1)", "posit8", "posit8(es=0)", "posit16", "posit16(es=1)", *LOGARITHMS]
BENT = ["pow3(a=0.5)", "pow4(a=0.72)", "pow8(a=0.6)", "pow5(a=1.5)"]


def posit(width: int, es: int):
    return wb.format(f"posit<{width},{es}>")


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


@pytest.mark.parametrize(("width", "es"), POSITS)
def test_every_posit_code_decodes_as_its_bits_say(width, es):
    f = posit(width, es)
    assert all(same(float(decode(f, c)), f.code_values[c]) for c in range(1 << width))
    assert np.array_equal(f.encode(f.values), f.code_of_value)
    assert np.array_equal(f.decode(f.encode(f.values)), f.values)


@pytest.mark.parametrize(("width", "es"), POSITS)
def test_posits_ascend_with_their_codes_as_signed_integers(width, es):
    f = posit(width, es)
    signed = np.arange(-(1 << (width - 1)) + 1, 1 << (width - 1))
    assert np.array_equal(f.decode(signed % (1 << width)), f.values)


@pytest.mark.parametrize(
    ("width", "es", "largest", "epsilon"),
    [(8, 0, 6, -5), (8, 1, 12, -4), (8, 2, 24, -3), (16, 1, 28, -12), (16, 2, 56, -11)],
)
def test_reach_and_precision_of_known_posits(width, es, largest, epsilon):
    f = posit(width, es)
    assert (f.max, f.smallest) == (2.0**largest, 2.0**-largest)
    assert f.values[np.searchsorted(f.values, 1.0) + 1] == 1 + 2.0**epsilon


def inputs(f, count: int = 300) -> np.ndarray:
    """Numbers over and beyond the range, every turning point and its neighbours, and specials."""
    rng = np.random.default_rng(f.bits)
    most = math.log2(f.max) + 2
    spread = np.exp2(rng.uniform(-most, most, count)) * rng.choice([-1, 1], count)
    middles = f.middles[:: max(1, f.middles.size // count)]
    near = np.concatenate([np.nextafter(middles, -np.inf), middles, np.nextafter(middles, np.inf)])
    return np.concatenate([spread, near, f.values[:: max(1, f.values.size // count)], [0.0, -0.0]])


@pytest.mark.parametrize("name", [*SOME, *BENT])
def test_nearest_even_against_exact_arithmetic(name):
    f = wb.format(name)
    x = inputs(f)
    if f.family in ("logarithmic", "power"):  # float64 middles are rounded: ask beside them
        x = x[~np.isclose(x[:, None], f.middles, rtol=1e-15, atol=0).any(1)]
    want = np.array([round_one(f, v) for v in x.tolist()])
    assert np.array_equal(f.round(x), want)
    narrow = x[np.abs(x) < 3e38].astype(np.float32)
    want = np.array([round_one(f, v) for v in narrow.tolist()]).astype(np.float32)
    near = np.isin(np.abs(narrow), np.abs(f.middles).astype(np.float32))
    assert np.array_equal(f.round(narrow)[~near], want[~near])


@pytest.mark.parametrize("name", ["posit8", "posit16(es=1)", "lns4.3", "pow4(a=0.5)"])
@pytest.mark.parametrize("rounding", ["toward_zero", "up", "down", "to_odd"])
def test_directed_modes_choose_a_neighbour(name, rounding):
    f = wb.format(name)
    x = inputs(f, 100)
    want = np.array([round_one(f, v, rounding) for v in x.tolist()])
    assert np.array_equal(f.round(x, rounding), want)


def test_the_bit_string_is_rounded_and_not_the_value():
    """Where exponent bits are cut off the two differ: one input in fourteen over posit<8, 2>."""
    f = wb.format("posit8")
    x = np.exp2(np.random.default_rng(0).uniform(-24, 24, 200_000))
    upper = np.clip(np.searchsorted(f.values, x), 1, f.values.size - 1)
    low, high = f.values[upper - 1], f.values[upper]
    nearest = np.where(x - low < high - x, low, high)
    differ = (f.round(x) != nearest) & (x - low != high - x)
    assert differ.mean() == pytest.approx(0.071, abs=0.004)
    assert np.abs(np.log2(x[differ])).min() > 16.5


def test_posits_never_become_zero_and_infinities_are_not_real():
    f = wb.format("posit8")
    got = f.round([1e-300, -1e-300, 1e300, -1e300, np.inf, -np.inf, np.nan, -0.0])
    assert got[:4].tolist() == [f.smallest, -f.smallest, f.max, -f.max]
    assert np.isnan(got[4:7]).all()
    assert f.encode([np.inf])[0] == 0x80
    assert math.copysign(1, got[7]) == 1


@pytest.mark.parametrize("fraction", [2, 3, 4, 5])
def test_largest_relative_error_of_logarithmic_numbers(fraction):
    f = wb.format(f"lns4.{fraction}")
    x = np.exp2(np.linspace(-6, 6, 400_001))
    worst = np.abs(f.round(x) / x - 1).max()
    assert worst == pytest.approx(2 ** (2.0 ** -(fraction + 1)) - 1, abs=1e-5)


def test_products_of_logarithmic_numbers_are_exact():
    f = wb.format("lns5.3")
    a, b = np.meshgrid(f.power(np.arange(-60, 60)), f.power(np.arange(-60, 60)))
    steps = np.rint(np.log2(a * b) * 8)
    assert np.allclose(f.round(a * b), f.power(steps), rtol=1e-15)


def test_logarithmic_numbers_flush_below_half_a_step_and_saturate():
    f = wb.format("lns4.3")
    least = Fraction(f.smallest) * Fraction(99, 100)
    assert f.round([float(least), f.smallest * 0.9, 1e9]).tolist() == [f.smallest, 0.0, f.max]


def test_schemes_and_sketches_take_them():
    x = np.random.default_rng(3).standard_t(4, (64, 256)).astype(np.float32)
    for spec in ("posit8", "posit8(es=1)/g32", "lns4.3", "lns3.4/channel", "posit4(es=1)/b16*e8m0"):
        scheme = wb.scheme(spec)
        assert wb.scheme(scheme.name) == scheme
        y = scheme.round(x)
        assert np.array_equal(scheme.quantize(x).dequantize(), y)
        assert wb.metrics.error(x, scheme).sqnr > (11 if spec.startswith("posit4") else 20), spec
    found = wb.sketch(x).error("posit8")
    assert found.sqnr == pytest.approx(wb.metrics.error(x, "posit8").sqnr, abs=found.bound + 1e-3)


@pytest.mark.parametrize(
    ("name", "why"),
    [("posit17", "2 to 16 bits"), ("posit1", "2 to 16 bits"), ("posit16(es=4)", "beyond"),
     ("posit8(es=99)", "beyond"), ("lns9.1", "1 to 8 bits"), ("lns8.8", "17 bits")],
)  # fmt: skip
def test_impossible_widths(name, why):
    with pytest.raises(WorkbenchError, match=why):
        wb.format(name)


def test_the_names_people_write():
    names = ["posit<8,1>", "posit(8, 1)", "posit8_1", "POSIT8(es=1)"]
    assert {wb.format(n).name for n in names} == {"posit8(es=1)"}
    assert wb.format("posit8(es=1,saturate)").round([np.inf]) == 4096
    assert wb.format("posit8(saturate)").name == "posit8(saturate)"


def test_shared_scales_bring_blocks_to_where_posits_are_fine():
    x = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32) * 1e-3
    assert wb.metrics.error(x, "posit8(es=1)/g32").sqnr > wb.metrics.error(x, "posit8(es=1)").sqnr
    x[3, 4] = np.inf
    scheme = wb.scheme("posit8/g32")
    assert np.isfinite(scheme.round(x)).all()
    assert np.array_equal(scheme.round(x), scheme.quantize(x).dequantize())
