"""What schemes do with NaN, infinities, zeros, subnormals, odd shapes, dtypes and wrong inputs."""

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError

SPECS = ["int4/g32", "int4/g32+zp", "mxfp4", "mxfp8", "nvfp4", "nf4/b64", "int8/tensor",
         "int8/channel", "int4/t4x4", "e4m3fn/token", "e4m3fn", "int4/g32@mse",
         "dynamic8/b64"]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (2, 0, 3)])
def test_empty_stays_empty(spec, shape):
    if "t4x4" in spec and len(shape) < 2:
        return
    scheme = wb.scheme(spec)
    x = np.empty(shape, np.float32)
    assert scheme.round(x).shape == shape
    assert scheme.quantize(x).dequantize().shape == shape
    assert scheme.quantize(x).bits_per_value == 0


@pytest.mark.parametrize("spec", [s for s in SPECS if "t4x4" not in s])
def test_a_single_number(spec):
    y = wb.scheme(spec).round(np.float32(0.75))
    assert y.shape == ()
    assert abs(float(y) - 0.75) < 0.26
    assert wb.scheme(spec).quantize(np.float32(0.75)).dequantize() == y


@pytest.mark.parametrize("spec", SPECS)
def test_zeros_stay_zeros(spec):
    x = np.zeros((4, 64), np.float32)
    assert np.array_equal(wb.scheme(spec).round(x), x)
    x[1] = -0.0
    x[2, :32] = 1.0
    y = wb.scheme(spec).round(x)
    assert (y[x == 0] == 0).all()
    assert not np.isnan(y).any()


@pytest.mark.parametrize("spec", SPECS)
def test_subnormals_and_huge_values_do_not_break(spec):
    for scale in (1e-45, 1e-41, 2.0**-126, 1e37, 3.4e38):
        x = (np.linspace(-1, 1, 128, dtype=np.float64).reshape(2, 64) * scale).astype(np.float32)
        y = wb.scheme(spec).round(x)
        assert np.isfinite(y).all() or spec == "mxfp8", (spec, scale)
        if scale > 1e-41 and spec != "e4m3fn":
            good = np.abs(y - x) <= np.float32(0.36) * np.abs(x).max()
            assert good.all(), (spec, scale)


def test_a_block_with_nan_or_infinity_in_mx_is_nan():
    x = np.ones((1, 96), np.float32)
    x[0, 5], x[0, 40] = np.nan, np.inf
    y = wb.scheme("mxfp4").round(x)
    assert np.isnan(y[0, :64]).all()
    assert (y[0, 64:] == 1).all()
    q = wb.scheme("mxfp4").quantize(x)
    assert q.stored_scales.tolist() == [[255, 255, 125]]
    assert np.array_equal(q.dequantize(), y, equal_nan=True)


@pytest.mark.parametrize("spec", ["int4/g32", "int8/tensor", "nf4/b64", "nvfp4", "int4/g32+zp"])
def test_elsewhere_nan_stays_and_infinities_saturate(spec):
    x = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 64)
    without = wb.scheme(spec).round(x)
    x[0, 3], x[0, 40], x[0, 41] = np.nan, np.inf, -np.inf
    y = wb.scheme(spec).round(x)
    assert np.isnan(y[0, 3])
    assert np.isnan(y).sum() == 1
    assert 0 < y[0, 40] <= 1.01
    assert -1.2 <= y[0, 41] <= 0  # a range with a zero point may have nothing below 0
    others = np.setdiff1d(np.arange(64), [3, 40, 41])
    assert np.array_equal(y[0, others], without[0, others])
    with pytest.raises(WorkbenchError, match=r"1 NaN among the values → .* has no code for NaN"):
        wb.scheme(spec).quantize(x)


def test_scales_that_have_nan_codes_keep_nan_elements():
    x = np.float32([[1.0, np.nan, 3.0, -2.0]])
    y = wb.scheme("e4m3fn/tensor").round(x)
    assert np.isnan(y[0, 1])
    assert np.isfinite(y[0, [0, 2, 3]]).all()
    assert np.array_equal(wb.scheme("e4m3fn/tensor").quantize(x).dequantize(), y, equal_nan=True)


@pytest.mark.parametrize("spec", ["int4/g32", "mxfp4", "e4m3fn", "nf4/b64", "int4/g32+zp"])
def test_halves_are_widened_exactly(spec):
    torch = pytest.importorskip("torch")
    scheme = wb.scheme(spec)
    x = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float16)
    want = scheme.round(x.astype(np.float32))
    assert np.array_equal(scheme.round(x), want)
    got = scheme.round(torch.from_numpy(x))
    assert got.dtype == torch.float32
    assert np.array_equal(got.numpy(), want)
    half = torch.from_numpy(x.astype(np.float32)).bfloat16()
    assert np.array_equal(scheme.round(half).numpy(), scheme.round(half.float().numpy()))
    wide = torch.from_numpy(x.astype(np.float64))
    assert scheme.round(wide).dtype == torch.float64


@pytest.mark.parametrize("spec", ["int4/g32", "mxfp4", "e4m3fn"])
def test_tensors_are_rounded_without_copying(spec):
    torch = pytest.importorskip("torch")
    scheme = wb.scheme(spec)
    x = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    want = scheme.round(x.numpy())
    assert np.array_equal(scheme.round(x.T, axis=0).numpy(), want.T)
    needs = x.clone().requires_grad_()
    assert not scheme.round(needs).requires_grad
    out = torch.empty_like(x)
    assert scheme.round(x, out=out) is out
    assert np.array_equal(out.numpy(), want)
    assert scheme.round(x, out=x) is x
    assert np.array_equal(x.numpy(), want)


def test_read_only_input_is_fine_and_read_only_output_is_refused():
    x = np.ones((2, 32), np.float32)
    x.flags.writeable = False
    assert (wb.scheme("int4/g32").round(x) == 1).all()
    with pytest.raises(WorkbenchError, match="a read-only out → results are written into it"):
        wb.scheme("int4/g32").round(x, out=x)


@pytest.mark.parametrize("target", [wb.scheme("int4/g32"), wb.format("e4m3fn")], ids=str)
def test_wrong_inputs_are_refused(target):
    refusals = {
        "an array of int64 → the workbench rounds float16": np.arange(4),
        "an array of complex128": np.ones(3, complex),
        "an array of bool": np.ones(3, bool),
        "an array of object": np.array([None, 1.0]),
        "an array of <U3": np.array(["one"]),
    }
    for text, x in refusals.items():
        with pytest.raises(WorkbenchError, match=text):
            target.round(x)
    x = np.ones(4, np.float32)
    with pytest.raises(WorkbenchError, match=r"out of shape \(3,\) and float32 → the result has"):
        target.round(x, out=np.empty(3, np.float32))
    with pytest.raises(WorkbenchError, match="the result has shape"):
        target.round(x, out=np.empty(4, np.float64))


def test_wrong_tensors_are_refused():
    torch = pytest.importorskip("torch")
    scheme = wb.scheme("int4/g32")
    with pytest.raises(WorkbenchError, match=r"a tensor of torch\.int64"):
        scheme.round(torch.arange(4))
    with pytest.raises(WorkbenchError, match=r"a tensor of torch\.complex64"):
        scheme.round(torch.ones(3, dtype=torch.complex64))
    with pytest.raises(WorkbenchError, match=r"pass x.to_dense\(\)"):
        scheme.round(torch.ones(3, 3).to_sparse())


def test_lists_and_big_endian_arrays():
    assert np.array_equal(wb.scheme("int8/tensor").round([127, -1, 0]), [127.0, -1.0, 0.0])
    x = np.linspace(-1, 1, 32).astype(">f4")
    assert np.array_equal(
        wb.scheme("int4/g32").round(x), wb.scheme("int4/g32").round(x.astype("<f4"))
    )
