"""Casts equal those of torch and ml_dtypes, bit for bit, wherever the convention is the same.

All bfloat16 and all float16 patterns, and 2^20 random float32 patterns, NaN and infinities among
them; where a convention differs, the difference is stated.
"""

import math

import numpy as np
import pytest

import workbench as wb
from workbench.formats import reference

ml_dtypes = pytest.importorskip("ml_dtypes")


def patterns():
    """All bfloat16 patterns, all float16 patterns, 2^20 random float32 patterns."""
    halves = np.arange(1 << 16, dtype=np.uint16)
    random = np.random.default_rng(0).integers(0, 1 << 32, 1 << 20, dtype=np.uint32)
    near_one = (random & 0x83FFFFFF) + 0x3C000000  # magnitudes that small formats can hold
    with np.errstate(invalid="ignore"):
        widened = halves.view(np.float16).astype(np.float32)
    return np.concatenate([
        (halves.astype(np.uint32) << 16).view(np.float32),
        widened,
        random[: 1 << 19].view(np.float32),
        near_one[1 << 19 :].astype(np.uint32).view(np.float32),
    ])  # fmt: skip


X = patterns()


def bits_of(y):
    """Float32 patterns with every NaN alike; integers, so that signalling NaN raises no flag."""
    bits = np.asarray(y, np.float32).view(np.int32)
    return np.where((bits & 0x7FFFFFFF) > 0x7F800000, 0x7FC00000, bits)


def assert_same(got, want, where=slice(None)):
    """Equal bits, but for the bits of NaN."""
    wrong = (bits_of(got) != bits_of(want))[where]
    assert not wrong.any(), (X[where][wrong][:5], got[where][wrong][:5], want[where][wrong][:5])


def library_cast(dtype):
    with np.errstate(invalid="ignore", over="ignore"):
        return X.astype(dtype).astype(np.float32)


SAME_AS_ML_DTYPES = {
    "bf16": "bfloat16", "f16": "float16", "e4m3fn(nan)": "float8_e4m3fn", "e5m2": "float8_e5m2",
    "e4m3fnuz": "float8_e4m3fnuz", "e5m2fnuz": "float8_e5m2fnuz", "e3m4": "float8_e3m4",
    "e4m3ieee": "float8_e4m3", "e4m3fnuz(bias=11)": "float8_e4m3b11fnuz",
}  # fmt: skip
NO_NAN_THERE = {"e2m1": "float4_e2m1fn", "e2m3": "float6_e2m3fn", "e3m2": "float6_e3m2fn"}


@pytest.mark.parametrize(("name", "theirs"), SAME_AS_ML_DTYPES.items())
def test_same_as_ml_dtypes(name, theirs):
    dtype = np.float16 if theirs == "float16" else getattr(ml_dtypes, theirs)
    assert_same(wb.format(name).round(X), library_cast(dtype))


@pytest.mark.parametrize(("name", "theirs"), NO_NAN_THERE.items())
def test_same_as_ml_dtypes_but_for_nan(name, theirs):
    """The OCP types without NaN: ml_dtypes makes NaN a zero, here it stays visible."""
    got, want = wb.format(name).round(X), library_cast(getattr(ml_dtypes, theirs))
    assert_same(got, want, ~np.isnan(X))
    assert np.isnan(got[np.isnan(X)]).all()
    assert (want[np.isnan(X)] == 0).all()


def test_e8m0_is_the_same_as_ml_dtypes_but_for_ties_and_subnormals():
    """There ties go up, and float32 subnormals above 2^-127 too; here to the even code."""
    got, want = wb.format("e8m0").round(X), library_cast(ml_dtypes.float8_e8m0fnu)
    subnormal = (np.float32(2.0**-127) < X) & (np.float32(2.0**-126) > X)
    tie = (X > 0) & ((X.view(np.int32) & 0x7FFFFF) == 0x400000) & ~subnormal
    assert_same(got, want, ~(subnormal | tie))
    assert (want[subnormal] == np.float32(2.0**-126)).all()
    assert (bits_of(want)[tie] >= bits_of(X)[tie]).all()
    assert np.isnan(wb.format("e8m0").round([1.5 * 2.0**127, 0.0, -1.0])).all()


def test_same_as_torch():
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(X)
    for name in ("float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "bfloat16", "float16"):
        want = x.to(getattr(torch, name)).to(torch.float32).numpy()
        assert_same(wb.format(name).round(X), want)


def test_torch_e4m3fn_saturates_since_2_12():
    torch = pytest.importorskip("torch")
    beyond = torch.tensor([1000.0]).to(torch.float8_e4m3fn).to(torch.float32)
    name = "e4m3fn(nan)" if math.isnan(beyond.item()) else "e4m3fn"
    want = torch.from_numpy(X).to(torch.float8_e4m3fn).to(torch.float32).numpy()
    assert_same(wb.format(name).round(X), want)


def test_codes_are_those_of_ml_dtypes():
    for name, theirs in (SAME_AS_ML_DTYPES | NO_NAN_THERE | {"e8m0": "float8_e8m0fnu"}).items():
        format = wb.format(name)
        dtype = np.dtype(np.float16 if theirs == "float16" else getattr(ml_dtypes, theirs))
        codes = np.arange(1 << format.bits).astype(np.uint16 if format.bits > 8 else np.uint8)
        with np.errstate(invalid="ignore"):
            want = codes.view(dtype).astype(np.float64)
        assert np.array_equal(format.decode(codes), want, equal_nan=True), name


@pytest.mark.parametrize(
    "name",
    [*SAME_AS_ML_DTYPES, *NO_NAN_THERE, "e4m3fn", "e8m0", "int8", "uint4", "q3.4", "nf4", "e3m0"],
)
def test_casts_equal_the_exact_reference(name):
    format = wb.format(name)
    x = X[np.random.default_rng(1).choice(X.size, 4000, replace=False)]
    got = format.round(x)
    with np.errstate(invalid="ignore"):
        want = np.float32([reference.round_one(format, float(v)) for v in x])
    assert np.array_equal(bits_of(got), bits_of(want))


@pytest.mark.parametrize("name", ["bf16", "e4m3fn", "e5m2", "e4m3fnuz", "e2m1", "int8", "nf4"])
def test_float64_and_torch_and_in_place_give_the_same(name):
    torch = pytest.importorskip("torch")
    format, x = wb.format(name), X[: 1 << 17]
    want = format.round(x)
    with np.errstate(invalid="ignore"):
        wide = format.round(x.astype(np.float64)).astype(np.float32)
    assert_same(wide, want)
    assert_same(format.round(torch.from_numpy(x)).numpy(), want)
    out = x.copy()
    assert format.round(out, out=out) is out
    assert_same(out, want)
