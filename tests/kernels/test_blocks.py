"""Block kernels against plain NumPy: maxima, scales by every rule, given scales, zero points."""

import numpy as np
import pytest

import workbench as wb
from workbench.kernels import affine, blocks, scaled
from workbench.kernels.elements import element_of
from workbench.kernels.scales import scales_of


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 15, 16, 31, 32, 33, 64, 100, 129])
def test_maxima_of_every_block_size(size):
    x = np.random.default_rng(size).normal(size=(5, 130)).astype(np.float32)
    got = blocks.block_amax(x, size)
    want = np.maximum.reduceat(np.abs(x), np.arange(0, 130, size), axis=1)
    assert np.array_equal(got, want)


def test_nan_and_infinities_sort_to_the_top():
    x = np.zeros((3, 40), np.float32)
    x[0, 39], x[1, 3], x[2, 17] = np.nan, -np.inf, -3e38
    got = blocks.block_amax(x, 40)[:, 0]
    assert np.isnan(got[0])
    assert got[1:].tolist() == [np.inf, np.float32(3e38)]


AMAX = np.concatenate([
    np.exp2(np.arange(-149, 128, dtype=np.float64)),
    np.exp2(np.random.default_rng(0).uniform(-149, 128, 3000)),
    np.nextafter(np.exp2(np.arange(-140, 128)).astype(np.float32), np.float32(0)),
]).astype(np.float32)  # fmt: skip


@pytest.mark.parametrize("rule", ["floor", "ceil", "even", "rceil"])
@pytest.mark.parametrize("element", ["e2m1", "e4m3fn", "e3m2", "q1.6", "e5m2"])
def test_power_of_two_scales_by_exact_logarithms(element, rule):
    """The rules as the standard and its variants state them, in exact integer exponents."""
    scheme = wb.scheme(f"{element}/b32*e8m0({rule})")
    q = scheme.largest
    q_exponent = int(np.frexp(q)[1]) - 1
    mantissa, exponent = np.frexp(AMAX.astype(np.float64))
    floor = exponent - 1
    if rule == "floor":
        wanted = floor - q_exponent
    elif rule == "ceil":
        wanted = np.where(mantissa == 0.5, floor, floor + 1) - q_exponent
    elif rule == "even":
        bits = {"e2m1": 1, "e4m3fn": 3, "e3m2": 2, "q1.6": 6, "e5m2": 2}[element]
        up = mantissa * 2 >= 2 - 2.0 ** -(bits + 1)
        wanted = floor + up - q_exponent
    else:
        ratio = (AMAX / np.float32(q)).astype(np.float64)
        m, e = np.frexp(np.where(ratio > 0, ratio, 2.0**-127))
        wanted = np.where(m == 0.5, e - 1, e)
    wanted = np.ldexp(1.0, np.clip(wanted, -127, 127)).astype(np.float32)
    assert np.array_equal(scales_of(AMAX, scheme.rule()), wanted)


@pytest.mark.parametrize("stored", ["f16", "bf16", "e4m3fn", "e5m2"])
def test_stored_float_scales_are_rounded_and_never_zero(stored):
    scheme = wb.scheme(f"int4/g32*{stored}")
    scales = scales_of(AMAX, scheme.rule())
    format = wb.format(stored)
    quotients = AMAX / np.float32(7)
    wanted = np.clip(format.round(quotients), format.smallest, format.max).astype(np.float32)
    assert np.array_equal(scales, wanted)


def test_special_amax():
    got = scales_of(np.float32([0, np.inf, np.nan]), wb.scheme("int4/g32").rule())
    assert got[0] == 1
    assert np.isnan(got[1:]).all()


@pytest.mark.parametrize("spec", ["int8", "nf4", "e2m1/tensor", "dynamic8", "q2.5/tensor"])
@pytest.mark.parametrize("size", [1, 5, 16, 40, 77])
def test_given_scales_and_their_error(spec, size):
    scheme = wb.scheme(spec)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 77)).astype(np.float32)
    scales = rng.uniform(0.1, 2, size=(3, -(-77 // size))).astype(np.float32)
    spread = np.repeat(scales, size, axis=1)[:, :77]
    want = scheme.element.round(x / spread) * spread
    e = element_of(scheme.element.rounder)
    out = np.empty_like(x)
    scaled.round_given(x, out, scales, size, e)
    assert np.array_equal(out, want)
    squared = np.add.reduceat((want.astype(float) - x) ** 2, np.arange(0, 77, size), axis=1)
    assert np.allclose(scaled.squared_errors(x, scales, size, e), squared, rtol=1e-12)
    scaled.round_given(x, x, scales, size, e)
    assert np.array_equal(x, want)


@pytest.mark.parametrize("size", [1, 3, 8, 20, 33])
def test_zero_points_by_hand(size):
    x = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32)
    x[2], x[3, :9] = np.abs(x[2]), 0
    scheme = wb.scheme(f"int4/g{size}+zp")
    want = np.empty_like(x)
    for r in range(4):
        for start in range(0, 50, size):
            block = x[r, start : start + size]
            low, high = min(block.min(), np.float32(0)), max(block.max(), np.float32(0))
            span = np.float32(high - low)
            scale = np.float32(span / np.float32(15)) if span else np.float32(1)
            zero = np.clip(-8 - np.rint(np.float32(low / scale)), -8, 7)
            code = np.clip(np.rint(block / scale) + zero, -8, 7)
            want[r, start : start + size] = (code - zero).astype(np.float32) * scale
    assert np.array_equal(scheme.round(x), want)


def test_empty_rows_are_left_alone():
    empty = np.empty((0, 5), np.float32)
    scheme = wb.scheme("int4/g4")
    blocks.round_blocks(empty, empty, 4, scheme.rule(), element_of(scheme.element.rounder))
    affine.round_affine(empty, empty, 4, scheme.rule(), -8, 7)
