"""Every code of every format up to 16 bits: decoded as the reference says, and encoded back."""

import math
from itertools import product

import numpy as np
import pytest

import workbench as wb
from workbench import formats
from workbench.errors import WorkbenchError
from workbench.formats import FloatFormat, IntegerFormat, reference
from workbench.formats.float import TOPS


def floats(widest):
    """Every float of at most `widest` bits, with every top scheme that its fields allow."""
    for exponent, mantissa, top in product(range(11), range(16), TOPS):
        if 2 <= 1 + exponent + mantissa <= widest:
            try:
                yield FloatFormat(exponent, mantissa, top=top)
            except WorkbenchError:
                assert exponent == 0 or exponent + mantissa < 2


def integers():
    for width, sign, narrow in product(range(1, 17), (True, False), (False, True)):
        if not narrow or (sign and width > 1):
            yield IntegerFormat(width, sign, narrow)


NAMED = formats.names()
FIXED = ["q3.4", "q3.4n", "uq0.8", "uq4.4", "q9.-2", "q0.15", "q-3.8", "q20.-12"]


def check_round_trip(format):
    """Codes come back from their values, but for NaN and for codes that share a value."""
    values = format.decode(np.arange(format.code_values.size))
    assert 1 << (format.bits - 1) < values.size <= 1 << format.bits or values.size == 2
    assert len(format) == np.unique(values[np.isfinite(values)]).size
    numbers = ~np.isnan(values)
    codes = format.encode(values[numbers])
    again = format.decode(codes)
    assert np.array_equal(again, values[numbers])
    assert np.array_equal(np.signbit(again), np.signbit(values[numbers]))
    assert np.array_equal(codes, np.flatnonzero(numbers))
    if format.has_nan:
        assert np.isnan(format.decode(format.encode(values[~numbers]))).all()
    assert format.values[0] == format.min
    assert format.values[-1] == format.max
    assert np.all(np.diff(format.values) > 0)


def check_reference(format, codes):
    values = format.decode(codes)
    want = [reference.decode(format, int(code)) for code in codes]
    for value, exact in zip(values.tolist(), want, strict=True):
        assert value == exact or (math.isnan(value) and math.isnan(exact))
        if exact == 0:
            assert math.copysign(1, value) == math.copysign(1, exact)


@pytest.mark.parametrize("name", NAMED)
def test_all_codes_of_named_formats_round_trip(name):
    format = wb.format(name)
    assert str(format) == name
    if not name.startswith(("bnb_fp4", "lns")):  # they have two codes for zero
        check_round_trip(format)


@pytest.mark.parametrize("name", NAMED)
def test_all_codes_of_named_formats_equal_the_reference(name):
    format = wb.format(name)
    check_reference(format, np.arange(format.code_values.size))


def test_all_codes_of_all_floats_round_trip():
    count = 0
    for format in floats(16):
        check_round_trip(format)
        assert wb.format(format.name) == format
        count += 1
    assert count > 380


def test_all_codes_of_all_floats_up_to_nine_bits_equal_the_reference():
    for format in floats(9):
        check_reference(format, np.arange(1 << format.bits))


def test_codes_of_all_wider_floats_equal_the_reference():
    rng = np.random.default_rng(0)
    for format in floats(16):
        if format.bits > 9:
            last = (1 << format.bits) - 1
            edges = [0, 1, last >> 1, (last >> 1) - 1, (last >> 1) + 1, last, last - 1]
            check_reference(format, np.array(edges + rng.integers(0, last, 40).tolist()))


def test_unsigned_and_biased_floats_round_trip():
    for format in floats(9):
        if format.top != "fnuz" and format.exponent + format.mantissa >= 2:
            check_round_trip(
                FloatFormat(format.exponent, format.mantissa, top=format.top, sign=False)
            )
        check_round_trip(FloatFormat(format.exponent, format.mantissa, bias=-7, top=format.top))


@pytest.mark.parametrize("format", list(integers()), ids=str)
def test_all_codes_of_all_integers(format):
    values = format.decode(np.arange(1 << format.bits))
    numbers = ~np.isnan(values)
    assert np.array_equal(format.encode(values[numbers]), np.flatnonzero(numbers))
    assert np.array_equal(format.values, np.arange(format.low_code, format.high_code + 1))
    assert wb.format(format.name) == format
    step = 1 if format.bits <= 10 else 61
    check_reference(format, np.arange(0, 1 << format.bits, step))


@pytest.mark.parametrize("name", FIXED)
def test_all_codes_of_fixed_point(name):
    format = wb.format(name)
    assert format.name == name
    values = format.decode(np.arange(1 << format.bits))
    numbers = ~np.isnan(values)
    assert np.array_equal(format.encode(values[numbers]), np.flatnonzero(numbers))
    check_reference(format, np.arange(0, 1 << format.bits, 1 if format.bits <= 10 else 31))


def test_figures_of_well_known_formats():
    figures = {
        "e4m3fn": (448.0, 2.0**-9, 253), "e5m2": (57344.0, 2.0**-16, 247),
        "e2m1": (6.0, 0.5, 15), "e3m2": (28.0, 2.0**-4, 63), "e2m3": (7.5, 0.125, 63),
        "e4m3fnuz": (240.0, 2.0**-10, 255), "e5m2fnuz": (57344.0, 2.0**-17, 255),
        "e4m3ieee": (240.0, 2.0**-9, 239), "e3m4": (15.5, 2.0**-6, 223),
        "f16": (65504.0, 2.0**-24, 63487), "int8": (127.0, 1.0, 256), "int8n": (127.0, 1.0, 255),
    }  # fmt: skip
    for name, (largest, smallest, count) in figures.items():
        format = wb.format(name)
        assert (format.max, format.smallest, len(format)) == (largest, smallest, count), name
    assert wb.format("e8m0").max == 2.0**127
    assert math.isnan(wb.format("int1").smallest)


def test_nan_has_one_quiet_code_and_the_sign_of_zero_is_kept():
    codes = wb.format("e5m2").encode([math.nan, math.inf, -math.inf, -0.0, 0.0])
    assert codes.tolist() == [0x7E, 0x7C, 0xFC, 0x80, 0]
    assert wb.format("e4m3fnuz").encode([math.nan, -0.0]).tolist() == [0x80, 0]
    with pytest.raises(WorkbenchError, match="2 NaN among the values → e2m1 has no code for NaN"):
        wb.format("e2m1").encode([math.nan, 1.0, math.nan])


def test_codes_out_of_range_are_refused():
    e2m1 = wb.format("e2m1")
    with pytest.raises(WorkbenchError, match="codes from 0 to 16 → e2m1 has codes 0 to 15"):
        e2m1.decode([0, 16])
    with pytest.raises(WorkbenchError, match="codes are integers"):
        e2m1.decode([0.5])
    assert e2m1.decode([]).size == 0


@pytest.mark.parametrize("name", ["e4m3fn", "e2m1", "f16", "int4", "nf4", "e4m3fn(nosub)"])
def test_precision_is_the_gap_around_a_value(name):
    format = wb.format(name)
    values = format.values[format.values >= 0]
    inside = 0.5 * (values[:-1] + values[1:])
    assert np.array_equal(format.precision(inside), np.diff(values))
