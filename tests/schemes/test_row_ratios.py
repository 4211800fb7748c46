"""Scales that are powers of two, of themselves or under one float of their row: ZeroQuant-FP's."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.metrics.densities import Gaussian
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.schemes import QuantizedTensor, parse

SHAPES = [(6, 64), (5, 100), (7,), (3, 4, 33), (1, 5), (2, 256)]
SPECS = ["e2m1/g32*pow2(m2)", "e2m1/g32*pow2(m2ceil)", "int4/g7*pow2(m2)", "nf4/b64*pow2(m2)",
         "e4m3fn/g16*pow2(m2)@mse", "e2m1/g256*pow2(m2)"]  # fmt: skip


def spread(shape, dtype=np.float32, seed=0):
    """Values whose size varies by octaves from one to the next."""
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) * np.exp(2 * random.standard_normal(shape))).astype(dtype)


def relative(x, scheme):
    gap = wb.scheme(scheme).round(x).astype(np.float64) - x
    return float((gap**2).mean() / (x.astype(np.float64) ** 2).mean())


def by_hand(x, group, format, up):
    """Rows of a matrix, block by block: the row's scale, and how often it is halved for each."""
    out, scales = np.empty_like(x), []
    for row, target in zip(x, out, strict=True):
        whole = np.float32(np.abs(row).max()) / np.float32(format.max)
        for start in range(0, row.size, group):
            block = row[start : start + group]
            ratio = math.log2(whole / (np.float32(np.abs(block).max()) / np.float32(format.max)))
            scale = np.float32(whole * 2.0 ** -(math.ceil(ratio) if up else math.floor(ratio)))
            target[start : start + group] = format.round(block / scale) * scale
            scales.append(scale)
    return out, scales


@pytest.mark.parametrize("shape", [(6, 64), (5, 100), (3, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rule", "up"), [("m2", False), ("m2ceil", True)])
def test_rows_are_rounded_as_by_hand(rule, up, shape, dtype):
    x, scheme = spread(shape, dtype), wb.scheme(f"e2m1/g32*pow2({rule})")
    want, scales = by_hand(x, 32, scheme.element, up)
    assert np.array_equal(scheme.round(x), want)
    assert scheme.quantize(x).scales.ravel().tolist() == scales


@pytest.mark.parametrize("spec", SPECS)
def test_ratios_in_a_row_are_powers_of_two_and_the_largest_scale_is_real(spec):
    x = spread((64, 300))
    q = wb.scheme(spec).quantize(x)
    ratios = q.scales.astype(np.float64) / q.whole
    assert (np.frexp(ratios)[0] == 0.5).all()
    assert ratios.max() <= 1
    if "mse" not in spec:
        assert (q.scales.max(axis=1) == q.whole[:, 0]).all()
    reach = np.abs(x).max(axis=1) / np.float32(wb.scheme(spec).largest)
    assert np.array_equal(q.whole[:, 0], reach)
    assert (np.frexp(q.whole)[0] != 0.5).mean() > 0.9


def test_m2_never_clips_and_takes_no_more_than_it_needs_while_m2ceil_clips():
    x = spread((64, 320))
    reach = np.abs(x).reshape(64, 10, 32).max(axis=2) / np.float32(6)
    above, below = (wb.scheme(f"e2m1/g32*pow2({rule})").fit(x).chosen.scales
                    for rule in ("m2", "m2ceil"))  # fmt: skip
    assert ((above >= reach) & (above < 2 * reach)).all()
    assert ((below <= reach) & (below > reach / 2)).all()
    clipped = [wb.metrics.error(x, f"e2m1/g32*pow2({rule})").causes["clipping"]
               for rule in ("m2", "m2ceil")]  # fmt: skip
    assert clipped[0] == 0 < clipped[1]


def test_m1_is_pow2_the_next_power_of_two_at_or_above_the_scale():
    x = spread((64, 320))
    x[0, :32] = 6.0 * np.linspace(-1, 1, 32)  # a scale of one, which is a power itself
    reach = np.abs(x).reshape(64, 10, 32).max(axis=2).astype(np.float64) / 6
    scales = wb.scheme("e2m1/g32*pow2").quantize(x).scales
    assert (np.frexp(scales)[0] == 0.5).all()
    assert ((scales >= reach * (1 - 2**-24)) & (scales < 2 * reach)).all()
    assert scales[0, 0] == 1
    assert str(wb.scheme("e2m1/g32*pow2(rceil)")) == "e2m1/g32*pow2"
    far = wb.scheme("e2m1/g32*pow2(ceil)").quantize(x).scales  # looks at the magnitude alone
    assert (far / scales).max() == 2


@pytest.mark.parametrize("seed", [0, 1])
def test_ties_cost_less_than_powers_of_two_where_they_do_not_clip(seed):
    x = np.random.default_rng(seed).standard_normal((256, 1536)).astype(np.float32)
    free, m1, m2, m2ceil = (
        relative(x, f"e2m1/g256{scale}") for scale in ("", "*pow2", "*pow2(m2)", "*pow2(m2ceil)")
    )
    assert free < m2 < 0.8 * m1 < m1 < m2ceil
    assert relative(x, "e2m1/g256*pow2(m2)@mse") <= m2


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_packs_and_comes_back(spec, shape, tmp_path):
    scheme = wb.scheme(spec)
    for axis in range(-len(shape), len(shape)):
        x = spread(shape)
        y = scheme.round(x, axis=axis)
        q = scheme.quantize(x, axis=axis)
        assert np.array_equal(q.dequantize(), y)
        assert np.array_equal(scheme.fit(x, axis).round(x), y)
        assert q.nbytes == math.ceil(x.size * scheme.format.bits / 8) + (
            q.stored_scales.size + 4 * x.size // shape[axis]
        )
        assert q.bits_per_value == pytest.approx(scheme.bits_per_value(shape, axis), abs=8 / x.size)
        q.save(tmp_path / "q.safetensors")
        back = QuantizedTensor.load(tmp_path / "q.safetensors")
        assert np.array_equal(back.dequantize(), y)
        assert (back.nbytes, back.scheme) == (q.nbytes, scheme)
        assert scheme.round(x, axis=axis, out=x) is x
        assert np.array_equal(x, y)


def test_what_has_no_range_of_its_own():
    scheme = wb.scheme("e4m3fn/g4*pow2(m2)")
    x = np.zeros((6, 8), np.float32)
    x[1, 4:] = 448 * 1.37
    x[2] = [1, 2, 3, 4, np.inf, -np.inf, np.nan, 0.5]
    x[3] = 1e-44
    x[4] = [3e38, 0, 0, 0, 1e-38, 0, 0, 0]
    y = scheme.round(x)
    assert not y[0].any()
    assert np.array_equal(y[1], x[1])
    assert np.isnan(y[2, 6])
    most = 448 * scheme.fit(x).scales[2, 4]
    assert y[2, 4:6].tolist() == [most, -most]
    assert np.isfinite(np.delete(y.ravel(), 22)).all()
    scales = scheme.fit(x).chosen.scales
    assert scales[0].tolist() == [1, 1]
    assert scales[1].tolist() == [np.float32(1.37)] * 2, "zeros take the scale of their row"
    assert scales[4, 1] >= 2.0**-126
    assert np.frexp(np.float64(scales[4, 1]) / scales[4, 0])[0] == 0.5, "no bits are lost"
    for empty in (np.empty((0, 4), np.float32), np.empty((3, 0), np.float32)):
        assert scheme.quantize(empty).dequantize().shape == empty.shape
    assert scheme.round(np.float32(1.5)) == 1.5


def test_tensors_of_torch_and_other_devices():
    torch = pytest.importorskip("torch")
    from workbench.schemes import device

    for spec in SPECS:
        scheme, x = wb.scheme(spec), spread((5, 100))
        y = scheme.round(x)
        assert np.array_equal(scheme.round(torch.from_numpy(x)).numpy(), y)
        found = device.round(scheme, torch.from_numpy(x), -1, None, "nearest_even", 0)
        assert np.array_equal(found.numpy(), y)
        half = torch.from_numpy(x).bfloat16()
        wide = scheme.round(half.float().numpy())
        assert np.array_equal(scheme.round(half).float().numpy(), wide)


def test_files_whose_rows_have_no_scale(tmp_path):
    from safetensors.numpy import save_file

    path, x = tmp_path / "q.safetensors", spread((7, 45))
    good = wb.scheme("e2m1/g32*pow2(m2)").quantize(x)
    about = {"scheme": str(good.scheme), "shape": [7, 45], "axis": -1, "whole": "0x1p0"}
    parts = {"packed": good.packed, "scales": good.stored_scales}
    for whole in ({}, {"whole": good.whole[:6]}, {"whole": good.whole.ravel()}):
        save_file(parts | whole, path, {"workbench": json.dumps(about)})
        with pytest.raises(WorkbenchError, match="7 scales of rows are missing"):
            QuantizedTensor.load(path)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("e2m1/g32*e8m0(m2)", "chosen by floor, ceil, even or rceil"),
        ("e2m1/channel*pow2(m2)", "it ties groups of a row"),
        ("e2m1/t4x4*pow2(m2)", "it ties groups of a row"),
        ("int4/g32*pow2(m2)+zp", "it ties groups of a row"),
        ("int4/g32*pow2(m2)+mean", "it ties groups of a row"),
        ("e2m1/g32*pow2(m2)*f32", "it ties groups of a row"),
        ("e2m1/g32*pow2(m2)@percentile(99)", "it ties groups of a row"),
        ("bitmod3/g32*pow2(m2)", "which grid it chose, and no more"),
    ],
)
def test_where_rows_cannot_be_tied(spec, why):
    with pytest.raises(WorkbenchError, match=why):
        wb.scheme(spec)


def test_what_knows_blocks_alone_says_so():
    x, spec = spread((4, 512)), "e2m1/g32*pow2(m2)"
    for answer in (
        lambda: wb.sketch(x, schemes=(spec,)).error(spec),
        lambda: wb.metrics.expected_block_error(spec, Gaussian()),
    ):
        with pytest.raises(WorkbenchError, match="which is exact"):
            answer()
    exact = wb.metrics.error(x, spec)
    assert exact.mse == pytest.approx(((wb.scheme(spec).round(x) - x) ** 2).mean(), rel=1e-5)
    assert exact.causes["scale"] > 0


class TestSolvers:
    """Solvers keep the ties, or say why they cannot."""

    draws = np.random.default_rng(0).standard_normal((608, 96))
    weight = np.random.default_rng(2).standard_normal((24, 96)).astype(np.float32)
    known, layer = Calibration.of(draws[:512] @ draws[512:]), Layer(weight)

    def _made(self, rest):
        return Recipe.parse(f"w=e2m1/g32*pow2(m2) {rest}").apply(self.layer, self.known)

    @pytest.mark.parametrize(
        "solver", ["gptq", "gptq(act_order=true)", "range_search", "adaround(steps=20)", "clip"]
    )
    def test_ties_hold_and_the_outputs_gain(self, solver):
        made, plain = self._made(solver), self._made("")
        weight = made.weight
        assert (np.frexp(weight.scales / weight.whole)[0] == 0.5).all()
        spread_scales = weight.layout.spread(weight.scales)
        assert np.isin(made.matrix / spread_scales, wb.format("e2m1").values).all()
        if solver != "clip":  # which leaves products between channels out
            assert made.error(self.layer, self.known) < plain.error(self.layer, self.known)

    def test_gptq_finds_the_scales_of_groups_when_it_comes_to_them(self, monkeypatch):
        from workbench.quantizers.solvers import gptq

        whole = self._made("gptq").weight
        first = parse("e2m1/g32*pow2(m2)").quantize(self.layer.weight)
        assert np.array_equal(whole.whole, first.whole)
        assert not np.array_equal(whole.stored_scales, first.stored_scales)
        monkeypatch.setattr(gptq, "ROWS", 7)  # rows are solved in parts
        assert np.array_equal(self._made("gptq").matrix, whole.dequantize())

    def test_scales_that_are_not_tied_are_not_stored(self):
        fitted, w = parse("e2m1/g32*pow2(m2)").fit(self.layer.weight), self.layer.weight
        free = parse("e2m1/g32").fit(w).chosen.scales
        with pytest.raises(WorkbenchError, match="not powers of two times that of their row"):
            replace(fitted, chosen=fitted.chosen._replace(scales=free)).quantize(w)


class TestCasts:
    """FP4 times a power of two is FP8 already; times any other scale it is rounded once more."""

    values = np.asarray(wb.format("e2m1").values)

    @pytest.mark.parametrize(("wide", "least", "most"), [("e5m2", -15, 13), ("e4m3fn", -8, 6)])
    def test_which_powers_lose_nothing(self, wide, least, most):
        kept = [
            k for k in range(-40, 40)
            if np.array_equal(wb.format(wide).round(self.values * 2.0**k), self.values * 2.0**k)
        ]  # fmt: skip
        assert kept == list(range(least, most + 1))

    def test_another_scale_loses_every_value_but_zero(self):
        for wide in ("e5m2", "e4m3fn"):
            scaled = self.values * 1.37
            assert (wb.format(wide).round(scaled) != scaled).sum() == self.values.size - 1 == 14

    def test_a_tied_row_casts_exactly_beside_its_own_scale(self):
        x = np.random.default_rng(3).standard_normal((32, 1024)).astype(np.float32)
        for scale, same in (("*pow2(m2)", True), ("*pow2", True), ("", False)):
            q = wb.scheme(f"e2m1/g256{scale}").quantize(x)
            units = q.dequantize() / (q.whole if "m2" in scale else 1)
            assert np.array_equal(wb.format("e5m2").round(units), units) is same
