"""Grids that follow from a rule, against brute force and published figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

import workbench as wb
from workbench.errors import WorkbenchError


@pytest.mark.parametrize("width", range(1, 9))
def test_bipolar_codes_are_worth_plus_or_minus_each_bit(width):
    f = wb.format(f"bipolar{width}")
    codes = np.arange(1 << width)
    bits = (codes[:, None] >> np.arange(width)) & 1
    assert np.array_equal(f.decode(codes), (2 * bits - 1) @ (1 << np.arange(width)))
    assert 0 not in f.values
    assert np.array_equal(f.values, -f.values[::-1])


@pytest.mark.parametrize(("k", "levels", "worst"), [(1, 9, 127), (2, 37, 63), (3, 93, 31)])
def test_k_hot_magnitudes_are_all_sums_of_k_bits(k, levels, worst):
    f = wb.format(f"khot8(k={k})")
    magnitudes = {m for m in range(256) if m.bit_count() <= k}
    assert set(np.abs(f.values)) == magnitudes
    assert len(magnitudes) == levels
    x = np.arange(256.0)
    nearest = np.array([min(magnitudes, key=lambda m, v=v: (abs(m - v), m)) for v in x])
    assert np.array_equal(np.abs(f.round(x) - x), np.abs(nearest - x))
    assert np.abs(f.round(x) - x).max() == worst


def test_two_signed_terms_reach_58_magnitudes_within_16():
    f = wb.format("khot8(k=2,signed)")
    x = np.arange(256.0)
    assert np.unique(np.abs(f.values)).size == 58
    assert np.abs(f.round(x) - x).max() == 16


def test_nearest_differs_from_keeping_the_leading_bits():
    f = wb.format("khot8(k=2)")
    x = np.arange(1, 256)
    first = 1 << np.floor(np.log2(x)).astype(int)
    rest = x - first
    second = np.where(rest > 0, 1 << np.floor(np.log2(np.maximum(rest, 1))).astype(int), 0)
    assert 0.2 < np.mean(f.round(x.astype(float)) != first + second) < 0.35


CODES = {
    "median1": [0.67449],
    "median2": [0.37775, 1.26572],
    "median3": [0.20262, 0.62542, 1.11373, 1.79203],
    "lloyd1": [0.79788],
    "lloyd2": [0.45278, 1.51042],
}


@pytest.mark.parametrize("name", CODES)
def test_gaussian_codes_are_the_published_ones(name):
    values = wb.format(name).values
    assert values[values.size // 2 :] == pytest.approx(CODES[name], abs=1e-5)
    assert np.array_equal(values, -values[::-1])


@pytest.mark.parametrize(
    ("width", "error"), [(1, 0.47319), (2, 0.26537), (3, 0.14297), (4, 0.07461)]
)
def test_median_codes_have_the_published_absolute_error(width, error):
    f = wb.format(f"median{width}")
    found = integrate.quad(
        lambda x: abs(x - f.round([x])[0]) * stats.norm.pdf(x), -9, 9, limit=200,
        points=f.middles,
    )[0]  # fmt: skip
    assert found == pytest.approx(error, abs=4e-4)


def test_median_codes_win_in_absolute_and_lose_in_squared_error():
    x = np.random.default_rng(0).standard_normal(1 << 18)
    median, lloyd = (x - wb.format(name).round(x) for name in ("median1", "lloyd1"))
    assert np.abs(median).mean() < np.abs(lloyd).mean()
    assert (median**2).mean() > (lloyd**2).mean()
    assert (lloyd**2).mean() == pytest.approx(1 - 2 / math.pi, abs=3e-3)


TILUS = {
    "f7e5m1": 49152, "f7e4m2": 448, "f7e3m3": 30, "f7e2m4": 7.75, "f6e4m1": 384, "f6e3m2": 28,
    "f6e2m3": 7.5, "f5e3m1": 24, "f5e2m2": 7, "f5e1m3": 3.75, "f4e2m1": 6, "f4e1m2": 3.5,
    "f3e1m1": 3,
}  # fmt: skip


@pytest.mark.parametrize("name", TILUS)
def test_tilus_types_have_their_largest_values(name):
    f = wb.format(name)
    assert f.max == TILUS[name]
    assert f.bits == int(name[1])
    assert f.has_infinity == ("e5" in name)


def test_one_exponent_bit_is_the_uniform_grid():
    for mantissa in (1, 2, 3):
        assert np.unique(np.diff(wb.format(f"e1m{mantissa}").values)).size == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("codebook(1,0)", "its values must ascend"),
        ("codebook(1)", "it needs 2 to 65536"),
        ("codebook(0,nan)", "must be finite and distinct|must ascend"),
        ("codebook(0,0,1)", "must be finite and distinct"),
        ("codebook(a,b)", "could not convert"),
        ("khot8(k=9)", "k lies in 1 to 8"),
        ("bipolar9", "1 to 8 bits"),
        ("median9", "1 to 6 bits"),
        ("f6e3m3", "a sign, 3 and 3 bits are 7"),
        ("bitmod3_p9", "no format has this name"),
    ],
)
def test_impossible_grids_are_refused(text, said):
    with pytest.raises(WorkbenchError, match=said):
        wb.format(text)


def test_a_typed_codebook_is_a_format_everywhere():
    f = wb.format("codebook(-1, -.25, 0, 0.1, 1)")
    assert f.name == "codebook(-1,-0.25,0,0.1,1)"
    assert wb.format(f.name) == f
    q = wb.scheme(f"{f.name}/g32").quantize(np.linspace(-3, 3, 64).astype(np.float32))
    assert q.scheme.format.bits == 3
    assert set(np.unique(q.codes)) <= set(range(5))
