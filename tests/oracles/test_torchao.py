"""Block schemes equal torchao's, bit for bit, in every scale rule; known differences are named."""

import warnings

import numpy as np
import pytest

import workbench as wb

pytest.importorskip("torch", reason="NOT CROSS-CHECKED: torch is missing")


def data(seed=0):
    """Ordinary and heavy-tailed rows, outliers, zeros, and blocks just around powers of two."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(256, 512))
    x[64:128] *= np.exp2(rng.uniform(-60, 60, (64, 1)))
    x[128:192] = rng.standard_t(2, size=(64, 512))
    x[192:200] = 0
    x[200:208, ::7] *= 1000
    x = x.astype(np.float32)
    edges = np.exp2(rng.integers(-20, 20, 512)).astype(np.float32)
    x[208], x[209] = edges, np.nextafter(edges, np.float32(0))
    x[210] = np.float32(7.9999995)
    return x


@pytest.fixture
def mx(library):
    module = library("torchao.prototype.mx_formats.mx_tensor")
    import torch

    types = {
        "mxfp4": torch.float4_e2m1fn_x2,
        "mxfp8_e4m3": torch.float8_e4m3fn,
        "mxfp8_e5m2": torch.float8_e5m2,
        "mxfp6_e3m2": "fp6_e3m2",
        "mxfp6_e2m3": "fp6_e2m3",
    }

    def convert(name, rule, x):
        mode = module.ScaleCalculationMode(rule)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tensor = module.MXTensor.to_mx(torch.from_numpy(x), types[name], 32, mode)
            return tensor.dequantize(torch.float32).numpy(), tensor.scale.float().numpy()

    return convert


@pytest.mark.parametrize("rule", ["floor", "even", "rceil", "ceil"])
@pytest.mark.parametrize("name", ["mxfp4", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp8_e4m3", "mxfp8_e5m2"])
def test_microscaling(mx, name, rule):
    x = data()
    theirs, scales = mx(name, rule, x)
    scheme = wb.scheme(f"{name}({rule})")
    assert np.array_equal(scheme.quantize(x).scales, scales)
    assert np.array_equal(scheme.round(x), theirs)


def test_where_torchao_is_inexact_the_workbench_is_not(mx):
    """A block of 2^-126: torchao's floor rule returns half of it, the workbench all of it."""
    x = np.full((1, 32), 2.0**-126, np.float32)
    assert np.array_equal(wb.scheme("mxfp4").round(x), x)
    assert not np.array_equal(mx("mxfp4", "floor", x)[0], x)


def test_nvfp4(library):
    module = library("torchao.prototype.mx_formats.nvfp4_tensor")
    import torch

    x = np.random.default_rng(1).normal(size=(256, 1024)).astype(np.float32)
    x[:8] *= 50
    tensor = torch.from_numpy(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = module.per_tensor_amax_to_scale(tensor.abs().amax())
        theirs = module.NVFP4Tensor.to_nvfp4(tensor, 16, whole).dequantize(torch.float32).numpy()
    assert wb.scheme("nvfp4").quantize(x).whole == float(whole)
    assert np.array_equal(wb.scheme("nvfp4").round(x), theirs)


def test_nf4_table(library):
    module = library("torchao.quantization.quantize_.workflows.nf4.nf4_tensor")
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = module.NF4Tensor.from_tensor(torch.randn(64, 64), 64, 64).nf4.float().numpy()
    assert np.abs(table - wb.format("nf4").values).max() < 4e-4  # there four digits are written
