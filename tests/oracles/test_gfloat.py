"""Floats and block floats equal gfloat's exact float64 arithmetic."""

import numpy as np
import pytest

import workbench as wb

FORMATS = {
    "e4m3fn": ("format_info_ocp_e4m3", True), "e4m3fn(nan)": ("format_info_ocp_e4m3", False),
    "e5m2": ("format_info_ocp_e5m2", False), "e5m2(saturate)": ("format_info_ocp_e5m2", True),
    "e2m1": ("format_info_ocp_e2m1", True), "e3m2": ("format_info_ocp_e3m2", True),
    "e2m3": ("format_info_ocp_e2m3", True), "bf16": ("format_info_bfloat16", False),
    "f16": ("format_info_binary16", False),
}  # fmt: skip
MODES = {"nearest_even": "TiesToEven", "nearest_away": "TiesToAway", "toward_zero": "TowardZero",
         "up": "TowardPositive", "down": "TowardNegative"}  # fmt: skip


def values(format):
    rng = np.random.default_rng(0)
    spread = np.exp2(rng.uniform(-30, 20, 20000)) * rng.normal(size=20000)
    ties = 0.5 * format.values[:-1] + 0.5 * format.values[1:]
    around = rng.choice(ties, 3000)
    x = np.concatenate(
        [spread, around, np.nextafter(around, np.inf), np.nextafter(around, -np.inf)]
    )
    return np.concatenate([x, format.max * rng.uniform(-1, 1, 5000), [0.0, -0.0, np.inf, -np.inf]])


@pytest.mark.parametrize("rounding", MODES)
@pytest.mark.parametrize("name", FORMATS)
def test_rounding(library, name, rounding):
    gfloat, formats = library("gfloat"), library("gfloat.formats")
    info, saturate = FORMATS[name]
    x = values(wb.format(name))
    if rounding in ("up", "down", "toward_zero"):  # beyond the largest value conventions differ
        x = x[np.abs(x) <= wb.format(name).max]
    with np.errstate(all="ignore"):
        mode = getattr(gfloat.RoundMode, MODES[rounding])
        theirs = gfloat.round_ndarray(getattr(formats, info), x, mode, sat=saturate)
    ours = wb.format(name).round(x, rounding)
    assert np.array_equal(ours, theirs, equal_nan=True)
    assert np.array_equal(np.signbit(ours[ours == 0]), np.signbit(theirs[ours == 0]))


@pytest.mark.parametrize("name", [n for n in FORMATS if "(" not in n])
def test_every_code(library, name):
    gfloat, formats = library("gfloat"), library("gfloat.formats")
    codes = np.arange(1 << wb.format(name).bits)
    info = getattr(formats, FORMATS[name][0])
    step = 1 if codes.size <= 256 else 97
    theirs = [gfloat.decode_float(info, int(code)).fval for code in codes[::step]]
    assert np.array_equal(wb.format(name).decode(codes[::step]), theirs, equal_nan=True)


@pytest.mark.parametrize(
    "name", ["mxfp4", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp8_e4m3", "mxfp8_e5m2", "mxint8"]
)
def test_blocks(library, name):
    gfloat, formats = library("gfloat"), library("gfloat.formats")
    long = name if "_" in name or name == "mxint8" else "mxfp4_e2m1"
    info = getattr(formats, f"format_info_{long}")
    x = np.random.default_rng(0).normal(size=(64, 32)) * np.exp2(np.arange(-32, 32))[:, None]
    x = x.astype(np.float32)
    theirs = [
        gfloat.quantize_block(info, row.astype(np.float64), gfloat.compute_scale_amax) for row in x
    ]
    assert np.array_equal(wb.scheme(name).round(x), np.float32(theirs))
