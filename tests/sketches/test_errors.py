"""The error read from a sketch lies within its bound of the exact one, and the bound is small."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

import workbench as wb
from workbench import metrics
from workbench.errors import WorkbenchError

USEFUL = {  # dB that the bound must stay under on the distributions below
    "e4m3fn": 1e-6,
    "e5m2": 1e-6,
    "e2m1": 1e-6,
    "int4": 0.01,
    "int8": 0.1,
    "int8/channel": 0.06,
    "int4/g32": 0.01,
    "int4/g128+zp": 0.01,
    "nf4/b64": 0.01,
    "nvfp4": 0.4,
    "nf4/b16*e4m3fn*f32": 0.4,  # not the same for both signs
    "e4m3fn/tensor": 0.05,
    "e4m3fn/channel": 0.05,
    "int4/t16x16": 0.01,
    "int4/g100": 0.01,
    "int4/g32*f16": 0.1,
    "int8/tensor+zp": 0.5,  # data of one sign use twice the resolution
    "int8/tensor*f16": 0.1,
    "int4/tensor@percentile(99)": 1.0,
    "int4/tensor@mse": 0.05,
    "e2m1/tensor*e8m0": 0.01,
    **{f"mxfp4({rule})": 0.001 for rule in ("floor", "ceil", "even", "rceil")},
    **{f"mxfp8({rule})": 0.001 for rule in ("floor", "ceil", "even", "rceil")},
    "mxfp6": 0.001,
    "mxfp6_e2m3": 0.001,
    "mxint8": 0.001,
    "mxint8(even)": 0.001,
    "mxint8(rceil)": 0.001,
    "int4/b32*pow2": 0.001,
}
WIDE = ("bf16", "f16", "int16", "int8/channel*bf16")  # finer than the bins: true, and wide
BLOCKS = [s for s in (*USEFUL, *WIDE) if wb.scheme(s).scale and "tensor" not in s]


def _outliers(rng: np.random.Generator) -> np.ndarray:
    x = rng.standard_normal((96, 300)) * 0.02
    x[:, ::37] *= 40
    x[::11] = 0
    return x


DATA = {
    "gaussian": lambda rng: rng.standard_normal((96, 300)),
    "student": lambda rng: rng.standard_t(3, (96, 300)),
    "lognormal": lambda rng: np.exp(rng.standard_normal((96, 300))),
    "outliers": _outliers,
    "bf16": lambda rng: wb.format("bf16").round(rng.standard_normal((96, 300))),
    "positive": lambda rng: np.maximum(rng.standard_normal((96, 300)), 0),
}


@functools.cache
def _case(name: str) -> tuple[np.ndarray, wb.Sketch]:
    x = DATA[name](np.random.default_rng(7)).astype(np.float32)
    return x, wb.sketch(x, schemes=BLOCKS)


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("scheme", [*USEFUL, *WIDE])
def test_the_exact_error_lies_within_the_bound(name, scheme):
    x, sketch = _case(name)
    exact, read = metrics.error(x, scheme), sketch.error(scheme)
    if math.isinf(exact.sqnr):
        assert read.sqnr == exact.sqnr or read.bound > 0
    else:
        assert abs(read.sqnr - exact.sqnr) <= read.bound
    if math.isfinite(read.sqnr):
        assert read.bound <= USEFUL.get(scheme, math.inf)
    assert read.provenance == "sketch"
    assert read.n == exact.n == x.size
    assert read.signal == pytest.approx(exact.signal, rel=1e-12)
    assert read.max_error >= exact.max_error * (1 - 1e-6)
    assert sum(read.causes.values()) == pytest.approx(read.mse, rel=1e-9)


@pytest.mark.parametrize("scheme", ["e4m3fn", "e2m1", "int4", "mxfp4", "mxfp8", "mxint8", "nvfp4"])
@pytest.mark.parametrize("name", ["gaussian", "student", "outliers"])
def test_causes_are_close_to_the_exact_ones(name, scheme):
    x, sketch = _case(name)
    exact, read = metrics.error(x, scheme), sketch.error(scheme)
    for cause, value in exact.causes.items():
        assert read.causes[cause] == pytest.approx(value, abs=0.06 * exact.mse)


@pytest.mark.parametrize("scheme", ["e4m3fn", "int4", "mxfp4", "int4/g32", "nvfp4"])
def test_the_error_by_value_adds_up_to_the_report(scheme):
    _, sketch = _case("student")
    report, profile = sketch.error(scheme), sketch.error_by_value(scheme)
    assert profile.squared.sum() == pytest.approx(report.mse, rel=2e-3)
    assert profile.count.sum() == pytest.approx(report.n, rel=1e-9)
    edges = np.array([-np.inf, *np.linspace(-0.5, 0.5, 11), np.inf])
    inside = profile.in_steps(edges)
    assert inside.sum() == pytest.approx(report.n, rel=1e-9)
    usual = inside[0, 1:-1].sum() / inside[0].sum()
    assert usual > 0.9  # rounding errors lie within half a step


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, "bfloat16"])
@pytest.mark.parametrize("scheme", ["e4m3fn", "int8", "mxfp4", "int4/g32"])
def test_every_float_dtype_and_torch_tensors(dtype, scheme):
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((64, 96)))
    x = x.to(getattr(torch, dtype if isinstance(dtype, str) else np.dtype(dtype).name))
    exact, read = metrics.error(x, scheme), wb.sketch(x, schemes=[scheme]).error(scheme)
    assert abs(read.sqnr - exact.sqnr) <= read.bound


@pytest.mark.parametrize("scale", [1e-42, 1e-38, 1e-20, 1e20, 1e37])
@pytest.mark.parametrize("scheme", ["int8", "mxfp4", "int4/g32", "nvfp4", "bf16", "int4/g32*f16"])
def test_extreme_magnitudes_are_within_the_bound_or_refused(scale, scheme):
    x = (np.random.default_rng(1).standard_normal((32, 64)) * scale).astype(np.float32)
    exact, sketch = metrics.error(x, scheme), wb.sketch(x, schemes=[scheme])
    try:
        read = sketch.error(scheme)
    except WorkbenchError as error:
        assert "metrics.error" in str(error)  # noqa: PT017
        return
    if math.isfinite(exact.sqnr) and math.isfinite(read.sqnr):
        assert abs(read.sqnr - exact.sqnr) <= read.bound
    else:
        assert read.sqnr == exact.sqnr or math.isinf(read.bound)


@pytest.mark.parametrize("scheme", ["e4m3fn", "int8", "mxfp4", "int4/g32", "int4/g32+zp", "nvfp4"])
@pytest.mark.parametrize("shape", [(0,), (0, 32), (1,), (), (33,), (5, 33), (3, 4, 40)])
def test_small_and_odd_shapes(scheme, shape):
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    exact, read = metrics.error(x, scheme), wb.sketch(x, schemes=[scheme]).error(scheme)
    assert read.n == exact.n == x.size
    if math.isfinite(exact.sqnr):
        assert abs(read.sqnr - exact.sqnr) <= read.bound
    else:
        assert read.mse == pytest.approx(exact.mse, abs=1e-12 * max(exact.signal, 1e-300))


@pytest.mark.parametrize("scheme", ["e4m3fn", "int8", "mxfp4", "int4/g32", "nvfp4"])
def test_zeros_have_no_error(scheme):
    read = wb.sketch(np.zeros((4, 64), np.float32), schemes=[scheme]).error(scheme)
    assert (read.mse, read.sqnr, read.bound) == (0, math.inf, 0)


def test_nan_and_infinities_are_counted_and_left_out():
    x = np.float32([1.0, -2.0, np.nan, np.inf, -np.inf, np.nan, 0.0, -0.0])
    for scheme in ("e4m3fn", "int8", "int4/g8", "nvfp4"):
        exact, read = metrics.error(x, scheme), wb.sketch(x, schemes=[scheme]).error(scheme)
        assert (read.n, read.n_nan, read.n_inf) == (exact.n, exact.n_nan, exact.n_inf) == (4, 2, 2)
        assert abs(read.sqnr - exact.sqnr) <= read.bound or read.sqnr == exact.sqnr
    values = wb.sketch(x).values
    assert (values.n_zero, values.n_pos_inf, values.n_neg_inf) == (2, 1, 1)


def test_a_nan_in_an_mx_block_loses_the_block():
    x = np.ones((2, 32), np.float32)
    x[0, 3] = np.nan
    exact, read = metrics.error(x, "mxfp4"), wb.sketch(x).error("mxfp4")
    assert exact.mse == read.mse == math.inf
    assert exact.sqnr == read.sqnr == -math.inf


def test_overflow_to_infinity_is_an_infinite_error_by_clipping():
    x = np.float32([1.0, 60000.0, 61440.0])
    for report in (metrics.error(x, "e5m2"), wb.sketch(x).error("e5m2")):
        assert report.sqnr == -math.inf
        assert report.causes["clipping"] == math.inf
    assert wb.sketch(x[:2]).error("e5m2").sqnr == pytest.approx(metrics.error(x[:2], "e5m2").sqnr)


def test_strided_views_and_other_axes():
    x = np.random.default_rng(3).standard_normal((64, 96)).astype(np.float32)
    view = x[::2, ::3].T
    exact = metrics.error(view, "mxfp4", axis=0)
    assert abs(wb.sketch(view, axis=0).error("mxfp4").sqnr - exact.sqnr) < 1e-3


def test_what_a_sketch_does_not_hold_is_said():
    sketch = wb.sketch(np.ones((4, 64), np.float32))
    with pytest.raises(WorkbenchError, match=r"schemes=\('int4/g32',\)"):
        sketch.error("int4/g32")
    with pytest.raises(WorkbenchError, match=r"metrics\.error"):
        sketch.error("int4/g32@mse")


@pytest.mark.parametrize(
    "text",
    ["pow4(a=0.5)/tensor", "pow3(a=0.5)/tensor", "pow8(a=0.6)/tensor", "lns4.3", "lns4.3/tensor",
     "lns3.5/tensor", "posit8", "posit6(es=2)/tensor", "pow4(a=0.5)/g32*e8m0", "lns4.3/g32*e8m0"],
)  # fmt: skip
@pytest.mark.parametrize("seed", [0, 1])
def test_formats_that_do_not_turn_half_way_lie_within_the_bound(text, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_t(3, (64, 128)) if seed else rng.standard_normal((64, 128))
    x = x.astype(np.float32)
    exact = wb.metrics.error(x, text)
    found = wb.sketch(x, schemes=(text,)).error(text)
    assert abs(found.sqnr - exact.sqnr) <= found.bound + 1e-9
    assert found.bound < 0.3
