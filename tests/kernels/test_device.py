"""The torch path that serves GPUs, run on the processor: the bits of the compiled kernels."""

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.formats import ROUNDINGS

torch = pytest.importorskip("torch")

FORMATS = [
    "f16", "bf16", "e5m2", "e4m3fn", "e4m3fn(nan)", "e4m3fnuz", "e3m4", "e2m1", "e3m0",
    "e0m3", "e4m3fn(nosub)", "e4m3fn(bias=-40)", "ue4m3fn", "ue5m3(nan)", "e8m3",
    "e5m2(saturate)", "e8m0", "int8", "int8n", "uint4", "int1", "q3.4", "q9.-2", "nf4",
    "bnb_fp4", "dynamic8",
]  # fmt: skip


def bits_of(y):
    y = np.ascontiguousarray(y)
    bits = y.view(np.int32 if y.dtype == np.float32 else np.int64)
    return np.where(np.isnan(y), -1, bits)


def probes(format, dtype):
    rng = np.random.default_rng(0)
    values = rng.choice(format.values, min(len(format), 300), replace=False)
    ties = 0.5 * format.values[:-1] + 0.5 * format.values[1:]
    with np.errstate(over="ignore", invalid="ignore"):
        wide = np.exp2(rng.uniform(-30, 30, 2000)) * rng.normal(size=2000)
        ends = [0.0, np.inf, np.nan, 1e-45, format.max, 1.03 * format.max, 1.1 * format.max, 1e300]
        x = np.concatenate(
            [values, rng.choice(ties, 300), wide, ends, format.max * rng.normal(size=500)]
        )
        return np.concatenate([x, -x, x[:50]]).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FORMATS)
def test_elements_in_every_mode(name, dtype):
    from workbench.kernels.device import round_elements

    format = wb.format(name)
    x = probes(format, dtype)
    for mode, rounding in enumerate(ROUNDINGS):
        with np.errstate(over="ignore", invalid="ignore"):
            want = format.round(x, rounding, seed=5)
        got = round_elements(torch.from_numpy(x), format.rounder, mode, 5).numpy()
        assert got.dtype == dtype
        wrong = bits_of(got) != bits_of(want)
        assert not wrong.any(), (rounding, x[wrong][:4], got[wrong][:4], want[wrong][:4])


SPECS = [
    "int4/g128", "int4/g128+zp", "uint4/g32+zp", "int8/channel", "int8/tensor",
    "int2/g32*f16+zp", "int4/g64*e8m0+zp", "mxfp4", "mxfp6", "mxfp8", "mxint8", "mxfp4(even)",
    "mxfp4(ceil)", "mxfp4(rceil)", "nvfp4", "e4m3fn/tensor", "e5m2/channel*pow2",
    "e3m2/g8*bf16", "e2m1/g7*f16", "nf4/b64", "nf4/g11", "dynamic8/b256", "int8/t16x16",
    "int4/t3x5+zp", "e4m3fn/t128x128", "int4/g32@mse", "int8/token@percentile(99)",
    "int4/g32*e4m3fn*f32+zp",
]  # fmt: skip


def special():
    x = np.random.default_rng(0).standard_t(4, size=(20, 133)).astype(np.float32)
    x[3, 5], x[4, 7], x[5, :9] = np.nan, np.inf, -np.inf
    x[6], x[7] = 0, -0.0
    x[8] *= np.float32(1e-41)
    x[9] *= np.float32(1e36)
    x[10] = 3e38
    x[11], x[12] = np.abs(x[11]), -np.abs(x[12])
    return x


@pytest.mark.parametrize("spec", SPECS)
def test_schemes(spec):
    from workbench.schemes import device

    scheme = wb.scheme(spec)
    plain = np.random.default_rng(1).normal(size=(3, 10, 40)).astype(np.float32)
    with np.errstate(all="ignore"):
        for x in (
            special(),
            plain,
            plain.astype(np.float64),
            plain[0, 0] if "t" not in spec else plain,
        ):
            for axis in (-1, 0):
                for rounding in ("nearest_even", "stochastic", "up"):
                    want = scheme.round(x, axis=axis, rounding=rounding, seed=2)
                    got = device.round(scheme, torch.from_numpy(x), axis, None, rounding, 2).numpy()
                    wrong = bits_of(got) != bits_of(want)
                    assert not wrong.any(), (
                        axis,
                        rounding,
                        x[wrong][:4],
                        got[wrong][:4],
                        want[wrong][:4],
                    )


def test_out_dtypes_and_refusals():
    from workbench.kernels.device import round_elements
    from workbench.schemes import device

    scheme, x = wb.scheme("int4/g32"), torch.linspace(-1, 1, 64).reshape(2, 32)
    out = torch.empty_like(x)
    assert device.round(scheme, x, -1, out, "nearest_even", 0) is out
    assert np.array_equal(out.numpy(), scheme.round(x.numpy()))
    assert device.round(scheme, x.bfloat16(), -1, None, "nearest_even", 0).dtype == torch.float32
    assert device.round(scheme, torch.empty(0, 4), -1, None, "nearest_even", 0).shape == (0, 4)
    assert device.round(scheme, torch.tensor(0.5), -1, None, "nearest_even", 0).shape == ()
    rounder = wb.format("e4m3fn").rounder
    with pytest.raises(WorkbenchError, match=r"a tensor of torch\.int64"):
        round_elements(torch.arange(3), rounder, 0)
    with pytest.raises(WorkbenchError, match=r"out of shape \(3,\)"):
        round_elements(x, rounder, 0, out=torch.empty(3))
