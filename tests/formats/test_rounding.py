"""Rounding equals an exact search over the values: every mode, every family."""

import math

import numpy as np
import pytest

import workbench as wb
from workbench.formats import ROUNDINGS, reference
from workbench.kernels.casts import keys_of, uniform_at

FORMATS = [
    "f16", "bf16", "e5m2", "e4m3fn", "e4m3ieee", "e5m2fnuz", "e4m3fnuz", "e4m3fnuz(bias=11)",
    "e3m4", "e3m2", "e2m3", "e2m1", "e3m0", "e1m2", "e0m3", "e2m2(top=fn)", "e4m3fn(nan)",
    "e5m2(saturate)", "e5m2(nan)", "e4m3fn(bias=12)", "e4m3fn(bias=-40)", "e4m3fn(nosub)",
    "e2m1(nosub)", "e3m0(nosub)", "ue4m3fn", "ue5m3(nan)", "e9m4", "e1m3(top=ieee)",
    "e8m3", "e8m3(saturate)", "e8m0",
    "int8", "int8n", "uint4", "int1", "int16", "q3.4", "uq0.8", "q9.-2",
    "nf4", "bnb_fp4", "dynamic8", "udynamic8",
]  # fmt: skip


def probes(format, dtype, count=100):
    """Values, midpoints, their neighbours, the ends, and random magnitudes, of both signs."""
    rng = np.random.default_rng(0)
    values = format.values[np.isfinite(format.values)]
    values = values[rng.choice(values.size, min(values.size, count), replace=False)]
    after = values[:-1], values[1:]
    sorted_values = np.sort(values)
    middles = 0.5 * sorted_values[:-1] + 0.5 * sorted_values[1:]
    top = format.max
    ends = np.array([top, 1.01 * top, 1.0625 * top, 1.1 * top, 2 * top, format.smallest / 2,
                     format.smallest / 4, 0.0, math.inf, math.nan, 1e-320, 1e-45])  # fmt: skip
    random = np.exp2(rng.uniform(-20, 20, count)) * rng.normal(size=count)
    with np.errstate(over="ignore"):
        x = np.concatenate([values, middles, ends, random, top * rng.uniform(size=count), *after])
        x = np.concatenate([x, -x]).astype(dtype)
        return np.concatenate([x, np.nextafter(x, dtype(np.inf)), np.nextafter(x, dtype(-np.inf))])


def same_bits(a, b):
    """Equal, with NaN equal to NaN and -0 different from +0."""
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(
        np.signbit(a[a == 0]), np.signbit(b[b == 0])
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FORMATS)
def test_every_mode_equals_the_exact_reference(name, dtype):
    format = wb.format(name)
    x = probes(format, dtype)
    for rounding in ROUNDINGS:
        mode = ROUNDINGS.index(rounding)
        got = format.round(x, rounding, seed=7)
        keys = keys_of(7)
        draws = rounding.startswith("stochastic")
        uniform = [float(uniform_at(0, i, mode, *keys)) if draws else 0.0 for i in range(x.size)]
        want = [
            reference.round_one(format, float(v), rounding, u)
            for v, u in zip(x, uniform, strict=True)
        ]
        with np.errstate(over="ignore"):
            want = np.array(want).astype(dtype)
        wrong = ~((got == want) | (np.isnan(got) & np.isnan(want)))
        assert not wrong.any(), (rounding, x[wrong][:5], got[wrong][:5], want[wrong][:5])
        assert same_bits(got, want), rounding


def test_stochastic_is_the_same_for_any_number_of_threads():
    from workbench.kernels import threads

    x = np.random.default_rng(0).normal(size=3_000_001).astype(np.float32)
    for name in ("e4m3fn", "int4", "nf4", "e4m3fnuz"):
        results = []
        for count in (1, 2, 5):
            threads.set_threads(count)
            results.append(wb.format(name).round(x, "stochastic", seed=3))
        threads.set_threads(None)
        assert all(np.array_equal(results[0], other) for other in results[1:])


def test_stochastic_rounding_is_unbiased_and_doubles_the_error():
    x = np.random.default_rng(1).uniform(-4, 4, 2_000_000)
    format = wb.format("int8")
    nearest = format.round(x) - x
    stochastic = format.round(x, "stochastic", seed=5) - x
    assert 12 * np.mean(nearest**2) == pytest.approx(1, abs=0.005)
    assert 6 * np.mean(stochastic**2) == pytest.approx(1, abs=0.005)
    assert abs(stochastic.mean()) < 5e-3
    other = format.round(x, "stochastic", seed=6) - x
    assert abs(np.corrcoef(stochastic, other)[0, 1]) < 0.005  # independent draws


def test_stochastic_rounding_does_not_stagnate():
    bf16 = wb.format("bf16")
    nearest, lanes = np.float32([1.0]), np.ones(1000, np.float32)
    for step in range(1000):
        nearest = bf16.round(nearest + np.float32(1e-3))
        lanes = bf16.round(lanes + np.float32(1e-3), "stochastic", seed=step)
    assert nearest[0] == 1.0
    assert lanes.mean() == pytest.approx(2.0, abs=0.01)
    assert lanes.std() == pytest.approx(0.085, abs=0.02)
