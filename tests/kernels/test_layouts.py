"""Named layouts of packed codes: split segments, nibbles, trits."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.kernels.layouts import (
    float16_by_shift,
    pack_nibbles,
    pack_split,
    pack_trits,
    unpack_nibbles,
    unpack_split,
    unpack_trits,
)


@pytest.mark.parametrize("widths", [(2, 4), (1, 2, 4), (4, 4), (1, 1, 1), (3, 5, 4)])
@pytest.mark.parametrize("count", [0, 1, 9, 64 * 64])
def test_split_codes_come_back_and_take_no_more_bytes(widths, count):
    total = sum(widths)
    codes = np.random.default_rng(count).integers(0, 1 << total, count).astype(np.uint16)
    segments = pack_split(codes, widths)
    assert np.array_equal(unpack_split(segments, widths, count), codes)
    assert sum(s.size for s in segments) == sum(-(-count * w // 8) for w in widths)


def test_six_bits_split_into_two_and_four_take_six_eighths_of_a_byte():
    codes = np.random.default_rng(0).integers(0, 64, 64 * 64).astype(np.uint8)
    upper, lower = pack_split(codes, (2, 4))
    assert upper.size + lower.size == 64 * 64 * 6 // 8
    assert upper[0] & 3 == codes[0] >> 4
    assert lower[0] & 15 == codes[0] & 15


@pytest.mark.parametrize("name", ["e3m2", "e2m1", "e2m3", "e4m1", "e1m2", "e4m3finite"])
def test_shifted_codes_are_the_values_of_all_codes(name):
    f = wb.format(name)
    codes = np.arange(1 << f.bits, dtype=np.uint8)
    factor = 2.0 ** (15 - f.bias)
    found = float16_by_shift(codes, f.exponent, f.mantissa).astype(np.float64) * factor
    assert np.array_equal(found, f.decode(codes))
    assert np.array_equal(np.signbit(found), np.signbit(f.decode(codes)))


def test_fp6_rows_against_integers():
    rng = np.random.default_rng(0)

    def relative(scheme, x):
        return float(((wb.scheme(scheme).round(x) - x) ** 2).mean() / (x**2).mean())

    gaussian = rng.standard_normal((512, 1024)).astype(np.float32)
    heavy = rng.standard_t(3, (512, 1024)).astype(np.float32)
    fp6 = relative("e3m2/channel*f16", gaussian)
    assert fp6 <= 0.3 * relative("int4/g128+zp", gaussian)
    assert relative("int6/channel", gaussian) < fp6  # on near-Gaussian rows integers win
    assert relative("e3m2/channel*f16", heavy) < 0.3 * relative("int6/channel", heavy)


@pytest.mark.parametrize("high_first", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 33])
def test_nibbles_come_back(high_first, count):
    codes = np.random.default_rng(1).integers(0, 16, count).astype(np.uint8)
    packed = pack_nibbles(codes, high_first)
    assert packed.size == (count + 1) // 2
    assert np.array_equal(unpack_nibbles(packed, count, high_first), codes)
    if count > 1:
        first, second = (packed[0] >> 4, packed[0] & 15)[:: 1 if high_first else -1]
        assert (first, second) == (codes[0], codes[1])


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 1001])
def test_trits_take_a_byte_for_five(count):
    codes = np.random.default_rng(2).integers(0, 3, count).astype(np.uint8)
    packed = pack_trits(codes)
    assert packed.size == -(-count // 5)
    assert packed.max(initial=0) <= 242
    assert np.array_equal(unpack_trits(packed, count), codes)


def test_codes_that_do_not_fit_are_refused():
    with pytest.raises(WorkbenchError, match="does not fit 6 bits"):
        pack_split(np.array([64]), (2, 4))
    with pytest.raises(WorkbenchError, match="a trit is 0, 1 or 2"):
        pack_trits(np.array([3]))
    with pytest.raises(WorkbenchError, match="6 trits take 2"):
        unpack_trits(np.zeros(1, np.uint8), 6)
    with pytest.raises(WorkbenchError, match="do not fit a float16"):
        float16_by_shift(np.zeros(1, np.uint8), 6, 1)
