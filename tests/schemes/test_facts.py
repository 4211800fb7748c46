"""Facts about block formats that a wrong implementation fails: exact laws and known errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb

MX = ["mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8_e4m3", "mxfp8_e5m2", "mxint8"]
N = 1 << 20


@pytest.fixture(scope="module")
def normal():
    return np.random.default_rng(0).normal(size=(N // 4096, 4096)).astype(np.float32)


def mse(spec, x):
    return float(np.mean((wb.scheme(spec).round(x).astype(np.float64) - x) ** 2))


@pytest.mark.parametrize("spec", MX)
def test_scaling_by_a_power_of_two_commutes_with_mx(spec, normal):
    x = normal[:8]
    want = wb.scheme(spec).round(x)
    for k in (-60, -7, -1, 1, 5, 80):
        factor = np.float32(2.0**k)
        assert np.array_equal(wb.scheme(spec).round(x * factor), want * factor)


@pytest.mark.parametrize("spec", [m for m in MX if m != "mxint8"])
def test_rounding_twice_is_rounding_once(spec, normal):
    once = wb.scheme(spec).round(normal[:32])
    assert np.array_equal(wb.scheme(spec).round(once), once)


@given(st.lists(st.floats(-(2.0**126), 2.0**126, width=32), min_size=1, max_size=70))
def test_laws_hold_for_any_block(values):
    x = np.array(values, np.float32)
    for spec in ("mxfp4", "mxfp8", "mxfp6"):
        once = wb.scheme(spec).round(x)
        assert np.array_equal(wb.scheme(spec).round(once), once)
        assert np.array_equal(wb.scheme(spec).round(-x), -once)
    for spec in ("int8/g32", "nf4/b64", "int4/g16+zp"):
        y = wb.scheme(spec).round(x).astype(np.float64)
        assert (np.abs(y) <= np.abs(x).max().astype(np.float64) * 2.1 + 1e-44).all()


@pytest.mark.parametrize(
    ("spec", "known"),
    [("mxfp4", 0.01320), ("mxfp6_e2m3", 8.05e-4), ("mxfp6_e3m2", 2.909e-3), ("mxfp8_e4m3", 8.60e-4),
     ("mxfp8_e5m2", 2.909e-3), ("mxint8", 6.81e-5)],
)  # fmt: skip
def test_error_of_mx_on_a_normal_distribution(spec, known, normal):
    assert mse(spec, normal) == pytest.approx(known, rel=0.01)


def test_equal_mantissas_give_equal_errors(normal):
    assert mse("mxfp8_e4m3", normal) == pytest.approx(mse("mxfp6_e2m3", normal), rel=0.1)
    assert mse("mxfp8_e5m2", normal) == pytest.approx(mse("mxfp6_e3m2", normal), rel=1e-3)


def test_the_octave_of_sigma_decides(normal):
    errors = [mse("mxfp4", normal * np.float32(s)) / s**2 for s in 2 ** np.linspace(0, 1, 9)]
    assert 0.0125 < min(errors) < 0.0130
    assert 0.0138 < max(errors) < 0.0143
    assert errors[0] == pytest.approx(errors[-1], rel=1e-6)


def test_clipping_under_the_floor_rule(normal):
    x = normal.reshape(-1, 32)
    amax = np.abs(x).max(axis=1, keepdims=True)
    scale = 2.0 ** (np.floor(np.log2(amax.astype(np.float64))) - 2)
    clipped = np.abs(x) / scale > 6
    assert clipped.mean() == pytest.approx(0.0234, abs=0.0005)
    assert clipped.any(axis=1).mean() == pytest.approx(0.296, abs=0.005)


def test_nvfp4_lies_under_int4_lies_under_mxfp4(normal):
    nvfp4, int4, mxfp4 = (mse(s, normal) for s in ("nvfp4", "int4/g32", "mxfp4"))
    assert nvfp4 < int4 < mxfp4
    assert 0.66 <= nvfp4 / mxfp4 <= 0.71


def test_scale_rules_order(normal):
    """Averaged over an octave of sigma; the rule of the standard is not the best."""
    x, sigmas = normal[:32], 2 ** np.linspace(0, 1, 8, endpoint=False)
    error = {
        rule: np.mean([mse(f"mxfp4({rule})", x * np.float32(s)) / s**2 for s in sigmas])
        for rule in ("floor", "even", "rceil", "ceil")
    }
    assert error["even"] < error["floor"] < error["rceil"] < error["ceil"]
    assert error["even"] / error["floor"] == pytest.approx(0.945, abs=0.012)


def test_rules_by_hand():
    """amax 7 of mxfp4: floor keeps 2^0 and clips 7 to 6, the others go to 2^1."""
    x = np.float32([7.0, 1.0])
    found = {r: wb.scheme(f"mxfp4({r})").round(x)[0] for r in ("floor", "even", "ceil", "rceil")}
    assert found == {"floor": 6.0, "even": 8.0, "ceil": 8.0, "rceil": 8.0}
    x = np.float32([6.5, 1.0])  # rounds to 6 in e2m1: even keeps 2^0, as floor does
    found = {r: wb.scheme(f"mxfp4({r})").round(x)[0] for r in ("floor", "even", "ceil", "rceil")}
    assert found == {"floor": 6.0, "even": 6.0, "ceil": 6.0, "rceil": 6.0}
    x = np.float32([5.0, 1.0])  # ceil rounds amax itself up to 8; rceil looks at 5/6
    found = {r: float(wb.scheme(f"mxfp4({r})").quantize(x).scales[0, 0]) for r in ("ceil", "rceil")}
    assert found == {"ceil": 2.0, "rceil": 1.0}


def test_just_below_a_power_of_two_the_exponent_is_not_rounded():
    x = np.float32([7.9999995, 1.0])
    assert float(wb.scheme("mxfp4").quantize(x).scales[0, 0]) == 1.0
    assert wb.scheme("mxfp4").round(x)[0] == 6.0


def test_scales_stay_within_e8m0():
    tiny = wb.scheme("mxfp4").quantize(np.full(32, 2.0**-127, np.float32))
    assert float(tiny.scales[0, 0]) == np.float32(2.0**-127)
    assert (tiny.dequantize() == np.float32(2.0**-127)).all()
    huge = wb.scheme("mxfp4").quantize(np.full(32, 3e38, np.float32))
    assert float(huge.scales[0, 0]) == 2.0**125
    assert float(wb.scheme("mxfp4").quantize(np.zeros(32, np.float32)).scales[0, 0]) == np.float32(
        2.0**-127
    )


def test_search_and_percentiles_choose_smaller_ranges(normal):
    x = np.random.default_rng(1).standard_t(3, size=(16, 256)).astype(np.float32)
    for spec in ("int4/g64", "int3/channel", "nf4/b64", "mxfp4", "nvfp4", "int4/g64+zp"):
        assert mse(f"{spec}@mse", x) <= mse(spec, x) * (1 + 1e-9), spec
    full = wb.scheme("int8/channel").quantize(x).scales
    part = wb.scheme("int8/channel@percentile(99)").quantize(x).scales
    assert (part < full).all()
    assert np.array_equal(wb.scheme("int8/channel@percentile(100)").quantize(x).scales, full)
    wanted = np.quantile(np.abs(x), 0.99, axis=1) / 127
    assert np.allclose(part[:, 0], wanted, rtol=1e-6)


def test_zero_points_bring_zero_back_and_halve_the_step_of_one_sided_data():
    x = np.abs(np.random.default_rng(2).normal(size=(64, 128))).astype(np.float32)
    x[:, 7] = 0
    y = wb.scheme("int4/g128+zp").round(x)
    assert (y[:, 7] == 0).all()
    assert mse("int4/g128+zp", x) < 0.3 * mse("int4/g128", x)
    q = wb.scheme("uint4/g128+zp").quantize(x - 1)
    assert q.zero_points.min() >= 0
    assert q.zero_points.max() <= 15
    assert np.array_equal(q.dequantize(), wb.scheme("int4/g128+zp").round(x - 1))
