"""Ternary and binary scales, block floating point, dynamic fixed point: laws and known figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.metrics.error import error


def relative(x, y):
    return float(((y - x).astype(np.float64) ** 2).mean() / (x.astype(np.float64) ** 2).mean())


@pytest.fixture(scope="module")
def gaussian():
    return np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32)


def test_trilm_rounds_by_the_mean_magnitude(gaussian):
    """gamma * round(clip(w / gamma, -1, 1)) with gamma the mean magnitude of the matrix."""
    y = wb.scheme("ternary/tensor@absmean").round(gaussian)
    gamma = np.float32(np.abs(gaussian.astype(np.float64)).mean())
    want = gamma * np.round(np.clip(gaussian / gamma, -1, 1))
    assert y == pytest.approx(want, rel=1e-6)
    zeros = 2 * stats.norm.cdf(0.5 * math.sqrt(2 / math.pi)) - 1
    assert np.mean(y == 0) == pytest.approx(zeros, abs=2e-3)
    assert np.unique(y).size == 3


def test_ternary_lies_between_binary_and_the_optimum(gaussian):
    x = gaussian[:256]
    binary = relative(x, wb.scheme("binary/tensor@absmean").round(x))
    trilm = relative(x, wb.scheme("ternary/tensor@absmean").round(x))
    searched = relative(x, wb.scheme("ternary/tensor@mse").round(x))
    assert binary == pytest.approx(1 - 2 / math.pi, abs=3e-3)
    sizes = np.sort(np.abs(x.astype(np.float64)).reshape(-1))[::-1]
    kept = np.cumsum(sizes) ** 2 / np.arange(1, sizes.size + 1)  # energy kept by the k largest
    optimum = 1 - kept.max() / (sizes**2).sum()
    assert optimum <= searched <= optimum * 1.01
    assert optimum < trilm < binary


@pytest.mark.parametrize("granularity", ["tensor", "channel", "g32", "t16x8"])
@pytest.mark.parametrize("kind", ["absmean", "std"])
def test_one_unit_is_the_blocks_own_mean_or_deviation(granularity, kind, gaussian):
    x = gaussian[:64, :96] + np.float32(0.25)
    q = wb.scheme(f"binary/{granularity}@{kind}").quantize(x)
    if granularity == "t16x8":
        blocks = x.reshape(4, 16, 12, 8).swapaxes(1, 2).reshape(48, -1)
    else:
        blocks = x.reshape(q.scales.size, -1)
    blocks = blocks.astype(np.float64)
    unit = np.abs(blocks).mean(1) if kind == "absmean" else blocks.std(1)
    assert q.scales.reshape(-1) == pytest.approx(unit, rel=1e-6)


@pytest.mark.parametrize("text", ["ternary/tensor@absmean", "median2/tensor@std", "binary@std"])
def test_sketches_know_mean_and_deviation(text, gaussian):
    x = (gaussian[:128] * 3 + 1).astype(np.float32)
    report, exact = wb.sketch(x).error(text), error(x, text)
    assert report.sqnr == pytest.approx(exact.sqnr, abs=report.bound + 1e-6)
    assert report.bound < 1e-3


@pytest.mark.parametrize("text", ["median2/tensor+mean@std", "int4/g32*f16+mean", "nf4/t8x8+mean"])
def test_a_mean_is_taken_off_and_stored(text, gaussian, tmp_path):
    x = gaussian[:64, :96] * np.float32(0.1) + np.float32(3)
    scheme = wb.scheme(text)
    assert str(scheme) == text
    q = scheme.quantize(x)
    y = scheme.round(x)
    assert np.array_equal(q.dequantize(), y)
    assert q.means.size == q.scales.size
    assert q.means.mean() == pytest.approx(3, abs=0.01)
    assert q.bits_per_value == pytest.approx(scheme.bits_per_value(x.shape), abs=0.01)
    q.save(tmp_path / "q.safetensors")
    assert np.array_equal(wb.QuantizedTensor.load(tmp_path / "q.safetensors").dequantize(), y)
    report = error(x, scheme)
    assert report.mse == pytest.approx(((y - x).astype(np.float64) ** 2).mean(), rel=1e-9)
    assert sum(report.causes.values()) == pytest.approx(report.mse, rel=1e-9)
    assert report.sqnr > error(x, wb.scheme(text.replace("+mean", ""))).sqnr + 10


def test_stored_binary_adapters_take_eight_bytes_beside_their_bits():
    w = np.random.default_rng(1).normal(0.3, 0.02, (48, 33)).astype(np.float32)
    for bits in (1, 2, 3):
        q = wb.scheme(f"median{bits}/tensor+mean@std").quantize(w)
        assert q.nbytes == -(-w.size * bits // 8) + 8
        z = (w - w.mean()) / w.std()
        want = wb.format(f"median{bits}").round(z) * w.std() + w.mean()
        assert q.dequantize() == pytest.approx(want, rel=1e-5)


def test_a_mean_on_a_device_has_the_same_bits(gaussian):
    torch = pytest.importorskip("torch")
    from workbench.schemes import device

    scheme = wb.scheme("int4/g32+mean")
    found = device.round(scheme, torch.from_numpy(gaussian[:8]), -1, None, "nearest_even", 0)
    assert np.array_equal(found.numpy(), scheme.round(gaussian[:8]))


@pytest.mark.parametrize(
    "text", ["int4/g32+mean+zp", "int4/g16*e4m3fn*f32+mean", "bitmod3/g32+mean"]
)
def test_a_mean_goes_with_no_other_shift(text):
    with pytest.raises(WorkbenchError, match="→"):
        wb.scheme(text)


def test_empty_and_non_finite_blocks_have_a_scale():
    assert wb.scheme("ternary/g4@absmean").round(np.zeros(0, np.float32)).size == 0
    assert np.array_equal(wb.scheme("ternary/g4@absmean").round(np.zeros(4, np.float32)), [0] * 4)
    y = wb.scheme("ternary/g4@absmean").round(np.float32([1, -1, np.inf, np.nan]))
    assert y[:3].tolist() == [1, -1, 1]
    assert np.isnan(y[3])


def test_block_floating_point_is_integers_under_the_exponent_of_the_largest():
    assert str(wb.scheme("bfp4/b32")) == "int4n/b32*e8m0"
    x = np.random.default_rng(1).standard_normal((64, 32)).astype(np.float32)
    exponent = np.floor(np.log2(np.abs(x).max(1, keepdims=True)))
    step = 2.0 ** (exponent - 2)
    want = np.clip(np.round(x / step), -7, 7) * step
    assert np.array_equal(wb.scheme("bfp4/b32").round(x), want)
    assert wb.scheme("bfp4/b32").bits_per_value(x.shape) == 4.25


@pytest.mark.parametrize("bits", [5, 6, 8, 16])
def test_dynamic_fixed_point_has_one_exponent_for_the_tensor(bits):
    scheme = wb.scheme(f"dfp{bits}")
    x = np.random.default_rng(2).standard_normal((32, 32)).astype(np.float32) * 37
    q = scheme.quantize(x)
    assert q.scales.size == 1
    assert q.scales[0, 0] == 2.0 ** (np.floor(np.log2(np.abs(x).max())) - (bits - 2))
    assert np.abs(q.dequantize() - x).max() <= q.scales[0, 0] / 2 * (1 + 1e-6)


def test_sums_of_dynamic_fixed_point_products_overflow_unless_shifted():
    """Two to four full products fill 32 bits; 13 bits leave room for thousands of usual ones."""
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 4096)).astype(np.float32)
    full = [wb.scheme("dfp16").quantize(v) for v in (a, b)]
    whole = [np.rint(q.dequantize() / q.scales[0, 0]).astype(np.int64) for q in full]
    assert 2**31 // max(int(np.abs(w).max()) ** 2 for w in whole) <= 4
    assert np.abs(np.cumsum(whole[0] * whole[0])).max() >= 2**31
    short = [w >> 3 for w in whole]
    assert np.abs(np.cumsum(short[0] * short[1])).max() < 2**31
    dot = float(whole[0] @ whole[1]) * float(full[0].scales[0, 0]) * float(full[1].scales[0, 0])
    exact = float(a.astype(np.float64) @ b)
    assert abs(dot - exact) <= 1e-4 * np.linalg.norm(a) * np.linalg.norm(b)


class TestSortedKeys:
    """Sorting the channels of keys by their norm makes the values of a block alike.

    Norms spread log-normally by 1.2 octaves; where a few channels hold nearly all of the energy,
    sorting puts them side by side and the scores get worse.
    """

    def _scores(self, n: int, order) -> float:
        rng = np.random.default_rng(4)
        norms = np.exp2(1.2 * rng.standard_normal(128))
        keys = rng.standard_normal((256, 128)) * norms
        queries = rng.standard_normal((64, 128))
        if order == "sorted":
            keys, queries = keys[:, np.argsort(norms)], queries[:, np.argsort(norms)]
        elif order == "shuffled":
            mix = np.random.default_rng(5).permutation(128)
            keys, queries = keys[:, mix], queries[:, mix]
        rounded = wb.scheme(f"bfp4/b{n}").round(keys.astype(np.float32)).astype(np.float64)
        exact = queries @ keys.T
        return float(((queries @ rounded.T - exact) ** 2).mean() / (exact**2).mean())

    def test_one_block_for_a_head_gains_exactly_nothing(self):
        assert self._scores(128, "sorted") == pytest.approx(self._scores(128, "plain"), rel=1e-12)

    @pytest.mark.parametrize(("n", "ratio"), [(32, 0.85), (16, 0.8)])
    def test_shorter_blocks_gain_and_shuffling_does_not(self, n, ratio):
        plain = self._scores(n, "plain")
        assert self._scores(n, "sorted") <= ratio * plain
        assert self._scores(n, "shuffled") == pytest.approx(plain, rel=0.1)


@pytest.mark.parametrize("text", ["bfp4", "bfp1/b32", "dfp17", "ternary/tensor@absmean(2)"])
def test_impossible_ones_are_refused(text):
    with pytest.raises(WorkbenchError, match="→"):
        wb.scheme(text)
