"""Pychop's rounding modes 1 to 9, as it documents them, against exact rational arithmetic.

The oracle below knows a format by its exponent and significand bits and shares nothing with the
project: an IEEE-like float with subnormals, infinity beyond the largest value, and -0.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import workbench as wb
from workbench.formats.base import ROUNDINGS
from workbench.formats.pychop import FORMATS, MODES

LAYOUTS = {"q52": (5, 2), "q43": (4, 3), "h": (5, 10)}
EXACT = (1, 2, 3, 4, 7, 8, 9)


def ours(name, x, mode, seed=0):
    return wb.format(FORMATS[name]).round(np.asarray(x, np.float64), MODES[mode], seed=seed)


def step_at(size, exponent, significand):
    """The distance between neighbours at a magnitude, as a Fraction, as if without a largest."""
    binade = math.frexp(float(size))[1] - 1  # exact: every magnitude here is a double
    return Fraction(2) ** (max(binade, 2 - 2 ** (exponent - 1)) - significand)


def largest(exponent, significand):
    return Fraction(2) ** (2 ** (exponent - 1) - 1) * (2 - Fraction(1, 2**significand))


def chosen(mode, lower, rest, negative):
    """Whether a magnitude between `lower` and `lower + 1` steps goes up by mode; rest in (0, 1)."""
    half, odd = Fraction(1, 2), lower % 2 == 1
    return {
        1: rest > half or (rest == half and odd),
        2: not negative,
        3: negative,
        4: False,
        7: rest > half,
        8: rest >= half,
        9: not odd,
    }[mode]


def oracle(x, mode, exponent, significand):
    """One double rounded by a mode, exact; a float."""
    if math.isnan(x) or math.isinf(x) or x == 0:
        return x
    size, limit = abs(Fraction(x)), largest(exponent, significand)
    step = step_at(min(size, limit), exponent, significand)
    lower, rest = divmod(size / step, 1)
    if size >= limit + step:
        lower, rest = limit / step, Fraction(3, 4)  # as far beyond as anything can be
    up = rest != 0 and chosen(mode, lower, rest, x < 0)
    value = (lower + up) * step
    return math.copysign(math.inf if value > limit else float(value), x)


def hard_inputs(exponent, significand):
    """Grid values, midpoints, quarter points and what lies beside them, of both signs."""
    codes = np.arange((2**exponent - 1) << significand)
    field, fraction = codes >> significand, codes & (2**significand - 1)
    scale = np.maximum(field, 1) - (2 ** (exponent - 1) - 1) - significand
    grid = np.ldexp(fraction + np.where(field > 0, 2.0**significand, 0.0), scale)
    step = np.append(np.diff(grid), grid[-1] - grid[-2])
    x = np.concatenate([grid + part * step for part in (0, 0.25, 0.5, 0.75)])
    x = np.concatenate([x, np.nextafter(x, np.inf), np.nextafter(x, -np.inf)])
    x = np.concatenate([np.abs(x), [grid[-1] + 2 * step[-1], 1e300, 5e-324, np.inf, 0.0]])
    return np.concatenate([x, -x, [np.nan]])


CASES = {name: hard_inputs(*layout) for name, layout in LAYOUTS.items()}


def same(a, b):
    return np.array_equal(np.asarray(a), b, equal_nan=True) and np.array_equal(
        np.signbit(a)[~np.isnan(a)], np.signbit(b)[~np.isnan(b)]
    )


@pytest.mark.parametrize("mode", EXACT)
@pytest.mark.parametrize("name", LAYOUTS)
def test_each_mode_is_the_exact_one_on_every_hard_input(name, mode):
    x = CASES[name]
    if name == "h":  # 31 744 grid values: every corner of the exponents, and a sample between
        x = x[np.random.default_rng(mode).choice(x.size, 20_000, replace=False)]
        x = np.concatenate([x, [65504.0, 65519.9, 65520.0, 65535.9, 65536.0, -65520.0, 2.0**-25]])
    want = np.array([oracle(v, mode, *LAYOUTS[name]) for v in x.tolist()])
    got = ours(name, x, mode)
    wrong = ~((got == want) | (np.isnan(got) & np.isnan(want)))
    assert not wrong.any(), (x[wrong][:5], got[wrong][:5], want[wrong][:5])
    assert same(got, want)


@pytest.mark.parametrize("name", LAYOUTS)
def test_symmetry(name):
    x = CASES[name]
    for mode in (1, 4, 7, 8, 9):
        assert same(ours(name, -x, mode), -ours(name, x, mode))
    assert same(ours(name, -x, 2), -ours(name, x, 3))


@pytest.mark.parametrize("mode", [5, 6])
@pytest.mark.parametrize("name", LAYOUTS)
def test_stochastic_modes_give_a_neighbour_and_leave_exact_values(name, mode):
    x = CASES[name]
    x = x[np.abs(x) <= float(largest(*LAYOUTS[name]))]
    got, down, up = ours(name, x, mode), ours(name, x, 3), ours(name, x, 2)
    assert ((got == down) | (got == up)).all()
    assert (got[down == up] == x[down == up]).all()


def draws(name, x, mode, count=1 << 18):
    """The mean of many draws in steps above the lower neighbour, and how many sigma a step is."""
    low, high = float(ours(name, [x], 3)[0]), float(ours(name, [x], 2)[0])
    y = ours(name, np.full(count, x), mode, seed=7)
    assert set(np.unique(y)) <= {low, high}
    return ((y - low) / (high - low)).mean(), (x - low) / (high - low), math.sqrt(count)


@pytest.mark.parametrize(
    "x", [1.0625, -1.0625, 1.1875, 3.3, -0.7, 2.0**-16 * 0.3, -(2.0**-15) * 1.1]
)
def test_mode_5_is_unbiased(x):
    mean, place, root = draws("q52", x, 5)
    sigma = math.sqrt(place * (1 - place)) / root
    assert abs(mean - place) < 4 * sigma


@pytest.mark.parametrize("x", [1.0625, -1.0625, 1.1875, 3.3, -0.7, 2.0**-16 * 0.3])
def test_mode_6_means_the_midpoint(x):
    mean, _, root = draws("q52", x, 6)
    assert abs(mean - 0.5) < 4 * 0.5 / root


@pytest.mark.parametrize("precision", [3, 4, 8])
def test_rounding_to_odd_first_makes_double_rounding_innocuous(precision):
    """To odd with two more bits, then to nearest even, is to nearest even at once."""
    narrow = wb.format(f"e5m{precision - 1}ieee")
    wide = wb.format(f"e5m{precision + 1}ieee")
    rng = np.random.default_rng(precision)
    x = np.concatenate([rng.normal(size=1 << 18), narrow.values, narrow.middles])
    x = np.concatenate([x, x * np.exp2(rng.integers(-20, 18, x.size)), np.nextafter(x, np.inf)])
    direct = narrow.round(x)
    assert same(narrow.round(wide.round(x, MODES[9])), direct)
    y = rng.normal(size=1 << 18)
    twice = narrow.round(wide.round(y)) != narrow.round(y)
    assert twice.mean() == pytest.approx(
        1 / 8, abs=0.005
    )  # a quarter fall on ties, half of it errs


def test_the_tables_name_what_there_is():
    assert sorted(MODES) == list(range(1, 10))
    assert sorted(MODES.values()) == sorted(ROUNDINGS)
    for name, (exponent, significand) in LAYOUTS.items():
        format = wb.format(FORMATS[name])
        assert (format.exponent, format.mantissa, format.top) == (exponent, significand, "ieee")
        assert format.max == largest(exponent, significand)
        assert format.overflow == "inf"
    assert {FORMATS[name] for name in FORMATS} == {"e4m3ieee", "e5m2", "bf16", "f16"}
    assert not {"t", "s", "d", "q"} & set(FORMATS)


def test_formats_have_the_reach_that_pychop_says():
    parameters = pytest.importorskip(
        "pychop.float_params", reason="NOT CROSS-CHECKED: pychop is missing"
    )
    for name, meant in FORMATS.items():
        format = wb.format(meant)
        _, tiny, normal, most, precision, *_ = parameters.float_params(name)
        assert (tiny, most, precision) == (format.smallest, format.max, format.mantissa + 1)
        assert normal == 2.0**format.least_exponent
