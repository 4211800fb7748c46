"""Names people use, the canonical name of everything, and refusals that help."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench import formats
from workbench.errors import WorkbenchError
from workbench.formats import CodebookFormat, FloatFormat, IntegerFormat
from workbench.formats.float import TOPS
from workbench.formats.names import ALIASES

MEANT = {
    "fp8_e5m2": "e5m2", "float8_e4m3fn": "e4m3fn", "float8_e4m3fnuz": "e4m3fnuz",
    "float8_e5m2fnuz": "e5m2fnuz", "torch.float8_e5m2": "e5m2", "bf16": "bf16", "BFloat16": "bf16",
    "fp6_e3m2": "e3m2", "FP6_E2M3": "e2m3", "fp4": "e2m1", "float4_e2m1fn": "e2m1",
    "ml_dtypes.float8_e4m3": "e4m3ieee", "e4m3": "e4m3fn", "fp16": "f16", "half": "f16",
    "i8": "int8", "u4": "uint4", "s4": "int4", "uint8": "uint8", "int4": "int4", "nf4": "nf4",
    "e8m0": "e8m0", "float8_e8m0fnu": "e8m0", "q3.4": "q3.4",
}  # fmt: skip


@pytest.mark.parametrize(("name", "canonical"), MEANT.items())
def test_names_that_users_know(name, canonical):
    assert wb.format(name).name == canonical
    assert wb.format(name) is wb.format(name)


def test_every_alias_and_every_name_reads_back():
    for name in [*ALIASES, *formats.names()]:
        assert wb.format(wb.format(name).name) == wb.format(name)


@st.composite
def any_float(draw):
    exponent = draw(st.integers(0, 8))
    mantissa = draw(st.integers(0, 15 - exponent))
    fields = {
        "top": draw(st.sampled_from(TOPS)),
        "bias": draw(st.none() | st.integers(-60, 300)),
        "overflow": draw(st.sampled_from([None, "saturate", "inf", "nan"])),
        "subnormals": draw(st.booleans()),
        "sign": draw(st.booleans()),
    }
    try:
        return FloatFormat(exponent, mantissa, **fields)
    except WorkbenchError:
        return None


@given(any_float())
def test_every_float_prints_the_name_that_reads_back(format):
    if format is not None:
        assert wb.format(format.name) == format
        assert pickle.loads(pickle.dumps(format)) == format


@given(st.integers(1, 16), st.booleans(), st.booleans(), st.integers(-20, 20))
def test_every_integer_and_fixed_point_prints_the_name_that_reads_back(width, sign, narrow, point):
    if narrow and (not sign or width < 2):
        return
    format = IntegerFormat(width, sign, narrow, point)
    assert wb.format(format.name) == format


REFUSALS = {
    "e4m3nf": "'e4m3nf' → no format has this name → write 'e4m3fn'",
    "e9m9": "e9m9 (ieee) → it has 19 bits, and floats here have 2 to 16 → write e5m10 or narrower",
    "int17": "int17 → integers here have 1 to 16 bits → write int8",
    "uint4n": "uint4 narrow → narrow drops the most negative of several codes → write uint4",
    "e4m3fn(bias=9999)": "beyond float64 → choose a bias from",
    "e4m3fn(inf)": "e4m3 (fn) with overflow inf → it has no infinity → write saturate",
    "e2m1(nan)": "e2m1 (finite) with overflow nan → it has no NaN → write saturate",
    "e4m3fn(loud)": "option 'loud' in 'e4m3fn(loud)' → a float has the options",
    "e0m7fn": "without exponent bits no code is special → write top=finite",
    "ue4m3fnuz": "fnuz takes the code of -0 for NaN, which needs a sign → use fn",
    "q4.0": "'q4.0' → no bit is right of the point → write int5",
    "": "no format has this name",
}


@pytest.mark.parametrize(("name", "text"), REFUSALS.items())
def test_refusals_say_what_why_and_what_instead(name, text):
    with pytest.raises(WorkbenchError) as refusal:
        wb.format(name)
    assert text in str(refusal.value)
    assert str(refusal.value).count("→") == 2


def test_other_refusals():
    with pytest.raises(WorkbenchError, match="3 → a format is named by text → write 'e4m3fn'"):
        wb.format(3)
    with pytest.raises(WorkbenchError, match="'nearest' → no rounding has this name"):
        wb.format("e4m3fn").round([1.0], "nearest")
    with pytest.raises(WorkbenchError, match="its values must be finite and distinct"):
        CodebookFormat("twice", (1.0, 1.0, 0.0))
    with pytest.raises(WorkbenchError, match="it needs 2 to 65536"):
        CodebookFormat("one", (1.0,))


def test_a_codebook_of_ones_own():
    thirds = CodebookFormat("thirds", (-1.0, 0.0, 1 / 3, 1.0))
    assert (thirds.bits, len(thirds), thirds.family) == (2, 4, "codebook")
    assert np.array_equal(thirds.round([0.1, 0.3, 9.0, -9.0]), [0.0, 1 / 3, 1.0, -1.0])
    assert thirds.encode([1.0, -1.0]).tolist() == [3, 0]
