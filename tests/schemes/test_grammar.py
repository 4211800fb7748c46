"""The spec string: what reads back, what the short names mean, and refusals that point."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench import schemes
from workbench.errors import WorkbenchError
from workbench.schemes import NAMES, Scheme

FORMATS = ["e4m3fn", "e5m2", "e2m1", "bf16", "e3m2(bias=5,nosub)", "int8", "int4n", "uint4", "int1",
           "int16", "q1.6", "nf4", "dynamic8"]  # fmt: skip
SCALES = ["", "*f32", "*f16", "*bf16", "*e4m3fn", "*e5m2", "*e8m0", "*pow2",
          "*e8m0(even)", "*e8m0(ceil)", "*e8m0(rceil)", "*e8m0(floor)", "*pow2(even)"]  # fmt: skip


@st.composite
def specs(draw):
    format = draw(st.sampled_from(FORMATS))
    size = st.integers(1, 300)
    blocks = st.one_of(
        st.builds("/g{}".format, size),
        st.builds("/b{}".format, size),
        st.builds("/t{}x{}".format, size, size),
        st.sampled_from(["/channel", "/token"]),
    )
    where = draw(st.one_of(st.just(""), st.just("/tensor"), blocks))
    scale = draw(st.sampled_from(SCALES))
    whole = where not in ("", "/tensor") and scale and not scale.startswith("*pow2")
    second = "*f32" if whole and draw(st.booleans()) else ""
    zero = "+zp" if "int" in format and draw(st.booleans()) else ""
    chosen = draw(st.sampled_from(["", "@absmax", "@mse", "@percentile(99.9)", "@percentile(50)"]))
    return f"{format}{where}{scale}{second}{zero}{chosen}"


@given(specs())
def test_every_spec_prints_what_reads_back(spec):
    scheme = wb.scheme(spec)
    assert isinstance(scheme, Scheme)
    assert wb.scheme(str(scheme)) == scheme
    assert str(wb.scheme(str(scheme))) == str(scheme)
    assert wb.scheme(f"  {spec.upper()} ") == scheme
    assert wb.scheme(scheme) is scheme
    assert hash(wb.scheme(str(scheme))) == hash(scheme)
    assert str(pickle.loads(pickle.dumps(scheme))) == str(scheme)


def test_short_names():
    assert {name: str(wb.scheme(name)) for name in NAMES} == NAMES
    assert set(schemes.names()) == set(NAMES)
    assert wb.scheme("e2m1/b32*e8m0").name == "mxfp4"
    assert str(wb.scheme("mxfp4(even)")) == "e2m1/b32*e8m0(even)"
    assert str(wb.scheme("nvfp4@mse")) == "e2m1/b16*e4m3fn*f32@mse"
    assert str(wb.scheme("INT4 / g128 * f32 + zp")) == "int4/g128+zp"


def test_what_is_left_away():
    assert str(wb.scheme("int8")) == "int8/tensor"
    assert str(wb.scheme("nf4")) == "nf4/tensor"
    for plain in ("e4m3fn", "bf16", "q3.4", "e8m0"):
        assert wb.scheme(plain).scale is None
        assert str(wb.scheme(plain)) == plain


def test_families():
    families = {
        "int4/g128": "int", "q3.4": "int", "e4m3fn/tensor": "float", "bf16": "float",
        "mxfp4": "mx", "mxint8": "mx", "nvfp4": "nvfp", "nf4/b64": "codebook",
    }  # fmt: skip
    assert {spec: wb.scheme(spec).family for spec in families} == families


REFUSALS = {
    "int9999": "int9999 → integers here have 1 to 16 bits → write int8",
    "mxpf4": "no format or scheme is called 'mxpf4'",
    "": "'' → a scheme begins with a format → write",
    "/g128": "'/g128' → a scheme begins with a format",
    "int4/g": "'int4▸/g' → scales are shared by tensor, channel, token, gN, bN or tMxN",
    "int4/chanel": "write /channel",
    "int4/g0": "a group of 0 values → a scale is shared by one value or more → write g32",
    "int4/t0x8": "a tile of 0 x 8 values",
    "int4/g32*q7": "'int4/g32▸*q7' → no scale format is called 'q7'",
    "int4/g32*f61": "write *f16",
    "int4/g32*int8": "no scale format is called 'int8'",
    "int4/g32*e3m0": "scales of e3m0 → a float scale needs a mantissa",
    "int4/g32*f16(even)": "no scale format is called 'f16(even)'",
    "int4/g32*f32(even)": "f32(even) → only e8m0 and pow2 take a rule → write f32",
    "int4/g32*e8m0(up)": "e8m0(up) → a power-of-two scale is chosen by floor, ceil, even or rceil",
    "int4/g32*e4m3fn*f16": "a second scale level of f16 → the tensor's own scale is a float32",
    "int4/tensor*e4m3fn*f32": "two scale levels for one tensor → both would be the same",
    "int4/g32*f16*f32*f32": "'int4/g32*f16*f32▸*f32' → '*f32' does not belong here",
    "int4+zp/g32": "'int4+zp▸/g32' → '/g32' does not belong here",
    "int4/g32+zp*f16": "'int4/g32+zp▸*f16' → '*f16' does not belong here",
    "int4/g32@mse+zp": "does not belong here",
    "int4/g32+zz": "'+zz' does not belong here",
    "int4/g32+zp+zp": "'+zp' does not belong here",
    "nf4/b64+zp": "a zero point for nf4 → a zero point is an integer code, so the format must be",
    "int4/g32@best": "'int4/g32▸@best' → ranges are chosen by absmax, percentile(p), mse, absmean",
    "int4/g32@percentile(101)": "a percentile lies in (0, 100] → write @percentile(99.9)",
    "int4/g32@percentile": "a percentile lies in (0, 100]",
    "int4/g32@percentile(x)": "a percentile lies in (0, 100]",
    "mxfp4*f16": "'mxfp4▸*f16' → mxfp4 is short for e2m1/b32*e8m0, which has its scale already",
    "nvfp4(even)": "'nvfp4▸(even)' → e2m1/b16*e4m3fn*f32 has no rule to choose → write nvfp4",
    "e8m0/g32": "e8m0 with a scale → it has no zero and no sign → use it as a scale",
    "int4(": "→",
    "int4/g32)": "→",
}


@pytest.mark.parametrize(("spec", "text"), REFUSALS.items())
def test_refusals_point_at_what_was_written(spec, text):
    with pytest.raises(WorkbenchError) as refusal:
        wb.scheme(spec)
    assert text in str(refusal.value)
    assert str(refusal.value).count("→") == 2


@given(st.text(alphabet="int48e2m1/gbt*f36+zp@mse()x.,% \n", max_size=20))
def test_any_text_is_a_scheme_or_one_clear_refusal(text):
    try:
        scheme = wb.scheme(text)
    except WorkbenchError as error:
        message = str(error)
        assert message.count("→") >= 2, message
    else:
        assert wb.scheme(str(scheme)) == scheme


def test_a_number_is_not_a_scheme():
    with pytest.raises(WorkbenchError, match="4 → a scheme is named by text"):
        wb.scheme(4)
