"""Expected errors against samples, numerical integration and figures computed elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

import workbench as wb
from workbench import metrics
from workbench.errors import WorkbenchError
from workbench.metrics.densities import Gaussian, Laplace, Mixture, StudentT, Uniform
from workbench.metrics.expected import (
    EIGHT_BITS,
    ExpectedError,
    best_range,
    best_ranges,
    dot_product_error,
    expected_error,
    minifloat_values,
    winner,
)
from workbench.metrics.expected_blocks import expected_block_error

LABELS = list(EIGHT_BITS)
# SQNR in dB at the best range; for Student's t, -10 log10 of the mean squared error. The integer
# of these figures has the code -128 too, which is worth 0.03 dB.
REFERENCE = {
    "uniform": (48.13, 44.49, 38.49, 32.41, 26.28),
    "gaussian": (40.57, 42.67, 37.56, 31.56, 25.58),
    "t(8)": (33.16, 37.18, 36.27, 30.29, 24.31),
}
NUS = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 12.0, 100.0)


@pytest.fixture(scope="module")
def table():
    densities = [Uniform(), Gaussian(), *(StudentT(nu, limit=100.0) for nu in NUS)]
    names = [density.name for density in densities]
    return dict(zip(names, best_ranges(densities), strict=True))


def _rounded(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    return values[np.searchsorted(0.5 * (values[1:] + values[:-1]), x)]


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_table(table, name):
    row = table[name]
    assert list(row) == LABELS
    unit = 1.0 if name == "t(8)" else row["INT8"].error.signal
    found = [10 * math.log10(unit / row[label].error.mse) for label in LABELS]
    assert found == pytest.approx(REFERENCE[name], abs=0.05)


def test_the_reference_ranges(table):
    ranges = [table["gaussian"][label].range for label in LABELS]
    assert ranges == pytest.approx([3.94, 4.35, 5.11, 9.78, 9.04], rel=0.006)


def test_two_exponent_bits_beat_the_integer_on_a_gaussian(table):
    row = table["gaussian"]
    assert row["E2M5"].error.sqnr - row["INT8"].error.sqnr == pytest.approx(2.1, abs=0.05)


def test_heavier_tails_want_more_exponent_bits(table):
    winners = [winner(table[name]) for name in ("uniform", "gaussian")]
    assert winners == ["INT8", "E2M5"]
    for nu in NUS:
        assert winner(table[f"t({nu:g})"]) == ("E3M4" if nu < 8 else "E2M5")


def test_one_percent_of_outliers_want_more_exponent_bits():
    outliers = Mixture((0.99, 0.01), (Gaussian(), Gaussian(10.0)))
    row = best_ranges([outliers])[0]
    assert winner(row) == "E3M4"
    assert row["INT8"].error.sqnr < row["E2M5"].error.sqnr < row["E3M4"].error.sqnr


def test_the_uniform_integer_by_hand(table):
    best = table["uniform"]["INT8"]
    assert best.error.mse == pytest.approx((2 / 255) ** 2 / 12, rel=1e-6)
    assert best.range == pytest.approx(254 / 255, rel=1e-4)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("density", [Uniform(), Gaussian()], ids=str)
def test_two_million_samples_agree(table, density, label):
    best = table[density.name][label]
    x = density.sample(2_000_000, seed=1)
    error = _rounded(minifloat_values(*EIGHT_BITS[label], best.range), x) - x
    assert np.mean(error**2) == pytest.approx(best.error.mse, rel=0.02)


@pytest.mark.parametrize("density", [StudentT(3.0), StudentT(4.0), Laplace()], ids=str)
@pytest.mark.parametrize("format", ["int4", "e2m1", "nf4"])
def test_heavy_tails_agree_with_integration(density, format):
    scale = 5.0 / wb.format(format).max
    values = wb.format(format).values * scale
    error = expected_error(format, density, scale)
    edges = [-np.inf, *(0.5 * (values[1:] + values[:-1])), np.inf]

    def integral(f) -> float:
        pairs = zip(edges[:-1], edges[1:], values, strict=True)
        return sum(
            quad(lambda x, g=g: f(x, g) * float(density.pdf(x)), a, b)[0] for a, b, g in pairs
        )

    assert error.mse == pytest.approx(integral(lambda x, g: (g - x) ** 2), rel=1e-6)
    assert error.cross == pytest.approx(integral(lambda x, g: x * (g - x)), rel=1e-6)


@pytest.mark.parametrize("format", ["e4m3fn", "e2m1", "int4", "nf4", "e3m2", "posit8"])
def test_clipping_is_the_cause_that_the_metrics_name(format):
    x = Gaussian(4.0).sample(500_000, seed=4)
    format = wb.format(format)
    report, error = metrics.error(x, format), expected_error(format, Gaussian(4.0))
    assert report.signal == pytest.approx(error.signal, rel=0.01)
    assert report.mse == pytest.approx(error.mse, rel=0.01)
    assert report.causes["clipping"] == pytest.approx(error.clipping, rel=0.03, abs=1e-12)


def test_error_is_of_the_scaled_format():
    whole, doubled = expected_error("e3m2", Gaussian()), expected_error("e3m2", Gaussian(2.0), 2.0)
    assert doubled.mse == pytest.approx(4 * whole.mse)
    assert doubled.sqnr == pytest.approx(whole.sqnr)
    assert expected_error([0.0], Gaussian()).mse == pytest.approx(1)
    assert expected_error([0.0], Gaussian()).sqnr == pytest.approx(0)


@pytest.mark.parametrize("bits", [(0, 7), (2, 5), (4, 3), (2, 1), (0, 3)])
def test_no_other_range_is_better(bits):
    values, density = minifloat_values(*bits), StudentT(6.0)
    best = best_range(values, density)
    around = best.range * np.exp2(np.linspace(-3, 3, 301))
    errors = [expected_error(values, density, float(r)).mse for r in around]
    assert best.error.mse <= min(errors) * (1 + 1e-8)
    assert best.scale == best.range  # the values reach 1
    assert best.error == expected_error(values, density, best.scale)


def test_scales_of_tapered_formats_bring_values_where_they_lie_densest():
    assert 0.1 < best_range("posit8", Gaussian()).scale < 1


def test_a_range_beyond_the_support_helps_floats():
    values = minifloat_values(5, 2)
    inside, beyond = (best_range(values, Uniform(), times) for times in (1.0, 2.0))
    assert inside.range <= 1 < beyond.range <= 2
    assert beyond.error.sqnr - inside.error.sqnr == pytest.approx(0.63, abs=0.02)


def test_minifloats():
    assert minifloat_values(2, 1, 6.0) == pytest.approx(wb.format("e2m1").values)
    assert minifloat_values(3, 2, 28.0) == pytest.approx(wb.format("e3m2").values)
    assert minifloat_values(0, 7, 127.0) == pytest.approx(np.arange(-127, 128))
    assert minifloat_values(4, 3).size == 255
    bias = 2**4 - math.log2(3.7) + math.log2(2 - 2**-3) - 1
    steps = np.diff(minifloat_values(4, 3, 3.7))
    assert steps.min() == pytest.approx(2 ** (1 - 3 - bias))


@pytest.mark.parametrize(
    "scheme",
    ["int4/g32", "mxfp4", "mxfp4(even)", "mxfp4(rceil)", "mxint8", "mxfp8", "nf4/b64", "int2/g16"],
)
@pytest.mark.parametrize("density", [Gaussian(), Laplace(0.02)], ids=str)
def test_blocks_agree_with_simulation(scheme, density):
    x = density.sample(1_024_000, seed=1).reshape(-1, 512)
    error = expected_block_error(scheme, density)
    report = metrics.error(x, scheme)
    assert error.mse == pytest.approx(report.mse, rel=0.01)
    assert error.sqnr == pytest.approx(report.sqnr, abs=0.04)
    clipping = report.causes["clipping"]
    assert error.clipping == pytest.approx(clipping, rel=0.05, abs=1e-3 * error.mse)
    products = x * (wb.scheme(scheme).round(x) - x)
    assert error.cross == pytest.approx(products.mean(), abs=6 * products.std() / 1000)


def test_blocks_of_one_value_are_exact():
    assert expected_block_error("int4/g1", Gaussian()).mse < 1e-12
    assert expected_block_error("int4/g32", Uniform()).mse == pytest.approx(
        expected_block_error("int4/t4x8", Uniform(3.0)).mse / 9, rel=1e-6
    )


def test_a_larger_block_has_a_larger_error():
    errors = [expected_block_error(f"int4/g{n}", StudentT(4.0)).mse for n in (8, 32, 128, 1024)]
    assert errors == sorted(errors)


def test_the_error_of_products_agrees_with_samples():
    coarse, fine = wb.format("int4"), wb.format("e2m1")
    x, y = Gaussian().sample(1_000_000, 5), Gaussian(2.0).sample(1_000_000, 6)
    rounded = coarse.round(x / 0.3) * 0.3 * fine.round(y)
    ex, ey = expected_error(coarse, Gaussian(), 0.3), expected_error(fine, Gaussian(2.0))
    assert dot_product_error(ex, ey) == pytest.approx(np.mean((rounded - x * y) ** 2), rel=0.02)
    assert dot_product_error(ex, ey) == dot_product_error(ey, ex)


def test_the_error_of_dot_products_grows_with_their_length():
    values = minifloat_values(2, 1, 3.0)
    one = expected_error(values, Gaussian())
    x, y = (Gaussian().sample(800_000, seed).reshape(-1, 8) for seed in (7, 8))
    sums = (_rounded(values, x) * _rounded(values, y)).sum(1) - (x * y).sum(1)
    assert np.mean(sums**2) == pytest.approx(8 * dot_product_error(one, one), rel=0.02)


def test_shrinking_values_count_against_both_factors():
    signed = ExpectedError(signal=1.0, rounding=0.01, clipping=0.0, cross=-0.01)
    unsigned = ExpectedError(signal=1.0, rounding=0.01, clipping=0.0, cross=0.0)
    assert dot_product_error(signed, signed) < dot_product_error(unsigned, unsigned)


@pytest.mark.parametrize(
    "scheme", ["nvfp4", "int8/channel", "int4", "e4m3fn", "int4/g32+zp", "int4/g32@mse"]
)
def test_schemes_without_a_closed_form_are_refused(scheme):
    with pytest.raises(WorkbenchError, match="write int4/g32 or mxfp4"):
        expected_block_error(scheme, Gaussian())


def test_blocks_of_limited_densities_are_refused():
    limited = StudentT(4.0, limit=5.0)
    for density in (limited, Mixture((1, 1), (Gaussian(), limited))):
        with pytest.raises(WorkbenchError, match="point masses"):
            expected_block_error("int4/g32", density)


@pytest.mark.parametrize("values", [[], [1.0, 1.0], [1.0, 0.0], [0.0, np.nan], [[0.0, 1.0]]])
def test_what_is_no_grid_is_refused(values):
    with pytest.raises(WorkbenchError, match=r"np\.unique"):
        expected_error(values, Gaussian())


def test_impossible_numbers_are_refused():
    with pytest.raises(WorkbenchError, match=r"scale=1\.0"):
        expected_error("int4", Gaussian(), scale=0.0)
    with pytest.raises(WorkbenchError, match=r"largest=1\.0"):
        minifloat_values(2, 1, -1.0)
    with pytest.raises(WorkbenchError, match="int2 or wider"):
        best_range([0.0], Gaussian())
