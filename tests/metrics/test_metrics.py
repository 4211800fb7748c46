"""The exact error by cause and the single figures, against float64 NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

import workbench as wb
from workbench import metrics
from workbench.errors import WorkbenchError
from workbench.kernels.threads import set_threads
from workbench.schemes.report import CAUSES, ErrorReport, clip_limits

SCHEMES = (
    "e4m3fn", "e5m2", "e2m1", "int8", "int4", "int8/channel", "int8/token*f16", "int4/g32",
    "int4/g128+zp", "mxfp4", "mxfp4(even)", "mxfp8", "mxint8", "nvfp4", "nf4/b64", "int4/t16x16",
    "int4/g32@mse", "int8/channel*bf16@percentile(99)", "uint8/tensor+zp",
)  # fmt: skip


def _data() -> np.ndarray:
    return np.random.default_rng(0).standard_t(3, (64, 200)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_error_is_that_of_the_rounded_tensor(scheme, dtype):
    x = _data().astype(dtype)
    y = wb.scheme(scheme).round(x).astype(np.float64)
    report = metrics.error(x, scheme)
    assert report.mse == pytest.approx(np.mean((y - x) ** 2), rel=1e-9)
    assert report.signal == pytest.approx(np.mean(x.astype(np.float64) ** 2), rel=1e-12)
    assert report.max_error == pytest.approx(np.abs(y - x).max(), rel=1e-12)
    assert tuple(report.causes) == CAUSES
    assert sum(report.causes.values()) == pytest.approx(report.mse, rel=1e-9)
    assert (report.n, report.bound, report.provenance) == (x.size, 0, "exact")
    assert report.sqnr == pytest.approx(metrics.sqnr(x, y), abs=1e-9)
    assert report.relative_error == pytest.approx(metrics.relative_error(x, y), rel=1e-9)
    assert report.effective_bits == pytest.approx((report.sqnr - 1.76) / 6.02)


def test_each_cause_by_hand():
    # e2m1 as it is: 0.2 becomes 0, 10 clips at 6, 2.4 rounds to 2; 6.9 still rounds to 6
    report = metrics.error(np.float32([0.2, 10.0, 2.4, 6.9]), "e2m1")
    assert report.causes["underflow"] * 4 == pytest.approx(0.04, rel=1e-6)
    assert report.causes["clipping"] * 4 == pytest.approx(16)
    assert report.causes["rounding"] * 4 == pytest.approx(0.16 + 0.81, rel=1e-6)
    assert report.causes["scale"] == 0
    assert clip_limits(wb.format("e2m1")) == (-7, 7)


def test_the_scale_cause_is_what_rounding_the_scale_adds():
    x = _data()
    for scheme, plain in (("mxfp4(rceil)", "e2m1/b32"), ("int8/channel*bf16", "int8/channel")):
        y, unrounded = (wb.scheme(s).round(x).astype(np.float64) for s in (scheme, plain))
        added = ((y - x) ** 2 - (unrounded - x) ** 2)[y != 0]  # neither rule clips
        causes = metrics.error(x, scheme).causes
        assert causes["scale"] == pytest.approx(added.sum() / x.size, rel=1e-9)
        assert causes["clipping"] == 0
        assert metrics.error(x, plain).causes["scale"] == 0


@pytest.mark.parametrize("scheme", ["e4m3fn", "int8", "mxfp4", "int4/g32+zp", "nvfp4"])
def test_any_number_of_threads_gives_the_same_figures(scheme):
    x = np.random.default_rng(1).standard_normal((1500, 1024)).astype(np.float32)
    reports = []
    for count in (1, 2, 3):
        set_threads(count)
        reports.append(metrics.error(x, scheme))
    set_threads(None)
    assert reports[0] == reports[1] == reports[2]


def test_long_rows_are_worked_through_in_pieces():
    x = np.random.default_rng(2).standard_normal((2, 300_001)).astype(np.float32)
    for scheme in ("int8/token", "int4/g32", "e4m3fn"):
        y = wb.scheme(scheme).round(x).astype(np.float64)
        assert metrics.error(x, scheme).mse == pytest.approx(np.mean((y - x) ** 2), rel=1e-9)


@pytest.mark.parametrize("scheme", ["e4m3fn", "int8", "mxfp4", "int4/g32+zp"])
def test_empty_zero_and_special_values(scheme):
    empty = metrics.error(np.zeros((0, 32), np.float32), scheme)
    assert (empty.n, empty.mse, empty.sqnr) == (0, 0, math.inf)
    zeros = metrics.error(np.zeros((2, 32), np.float32), scheme)
    assert (zeros.n, zeros.mse, zeros.sqnr, zeros.relative_error) == (64, 0, math.inf, 0)
    x = np.ones((2, 32), np.float32)
    x[0, :3] = np.nan, np.inf, -np.inf
    report = metrics.error(x, scheme)
    assert (report.n, report.n_nan, report.n_inf) == (61, 1, 2)
    assert report.mse == (math.inf if scheme == "mxfp4" else pytest.approx(0, abs=1e-3))


def test_infinite_errors():
    report = metrics.error(np.float32([1.0, 1e6]), "e5m2")
    assert (report.mse, report.sqnr, report.max_error) == (math.inf, -math.inf, math.inf)
    assert metrics.mse([1.0], [np.nan]) == math.inf
    assert metrics.sqnr([0.0], [1.0]) == -math.inf
    assert metrics.relative_error([0.0], [1.0]) == math.inf
    assert ErrorReport(1, 0.0, 1.0, 1.0, {}).relative_error == math.inf


def test_single_figures():
    x, y = np.array([3.0, 4.0, np.nan]), np.array([3.0, 3.0, 7.0])
    assert metrics.mse(x, y) == 0.5
    assert metrics.max_error(x, y) == 1
    assert metrics.relative_error(x, y) == pytest.approx(0.2)
    assert metrics.cosine(x, y) == pytest.approx(21 / (5 * math.sqrt(18)))
    assert metrics.sqnr(x, y) == pytest.approx(10 * math.log10(25))
    assert metrics.mse([], []) == metrics.max_error([], []) == 0
    assert metrics.sqnr([], []) == math.inf
    assert math.isnan(metrics.cosine([], []))
    with pytest.raises(WorkbenchError, match="one by one"):
        metrics.mse([1.0], [1.0, 2.0])


def test_unused_codes():
    int2 = wb.scheme("int2/tensor").quantize(np.float32([1, -1, 0]))
    assert metrics.unused_codes(int2) == 0.25
    assert metrics.unused_codes(np.uint8([0, 1, 2, 3]), wb.format("uint2")) == 0
    assert metrics.unused_codes(np.zeros(0, np.uint8), wb.format("e2m1")) == 1
    with pytest.raises(WorkbenchError, match="format="):
        metrics.unused_codes(np.uint8([0]))


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    x = torch.linspace(-3, 3, 96).to(torch.bfloat16)
    assert metrics.error(x, "int4/g32") == metrics.error(x.float().numpy(), "int4/g32")
    assert metrics.sqnr(x, x) == math.inf
