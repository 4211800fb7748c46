"""Rounding under every granularity equals scaling each block by hand, bit for bit."""

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.schemes import apply
from workbench.schemes.layout import Layout


def same_bits(a, b):
    """Equal values, NaN with NaN, and equal signs of zero."""
    a, b = np.asarray(a), np.asarray(b)
    return (
        a.shape == b.shape
        and a.dtype == b.dtype
        and np.array_equal(a, b, equal_nan=True)
        and np.array_equal(np.signbit(a[a == 0]), np.signbit(b[b == 0]))
    )


def data(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_t(4, size=shape).astype(dtype)


def by_hand(spec, block):
    """One block with one float32 scale: amax over the largest value, round, scale back."""
    format = wb.scheme(spec).element
    amax = np.abs(block).max(initial=0).astype(np.float32)
    scale = np.float32(amax / np.float32(format.max)) if amax else np.float32(1)
    return format.round(np.ascontiguousarray(block / scale)) * scale


def blocks_of(shape, axis, granularity):
    """Index tuples of every block, written out with plain loops."""
    axis = axis % len(shape)
    others = [range(n) for i, n in enumerate(shape) if i != axis]
    if granularity == "tensor":
        yield (slice(None),) * len(shape)
    elif granularity == "channel":
        first = 0 if axis != 0 else 1
        for i in range(shape[first]):
            index = [slice(None)] * len(shape)
            index[first] = i
            yield tuple(index)
    else:
        size = shape[axis] if granularity == "token" else int(granularity[1:])
        for rest in np.ndindex(*[len(r) for r in others]):
            for start in range(0, shape[axis], size):
                index = list(rest)
                index.insert(axis, slice(start, start + size))
                yield tuple(index)


SHAPES = [(7,), (64,), (100,), (5, 37), (6, 64), (3, 4, 50), (2, 3, 4, 33)]


@pytest.mark.parametrize("granularity", ["tensor", "channel", "token", "g1", "g3", "g16", "b32"])
@pytest.mark.parametrize("format", ["int4", "e4m3fn", "nf4", "int8", "q2.5"])
def test_granularities_along_every_axis(format, granularity):
    spec = f"{format}/{granularity}"
    for shape in SHAPES:
        x = data(shape)
        for axis in range(-len(shape), len(shape)):
            if granularity == "channel" and len(shape) == 1:
                continue
            want = np.empty_like(x)
            for index in blocks_of(shape, axis, granularity):
                want[index] = by_hand(spec, x[index])
            assert same_bits(wb.scheme(spec).round(x, axis=axis), want), (shape, axis)


def test_a_vector_is_one_channel():
    x = data(50)
    assert same_bits(wb.scheme("int4/channel").round(x), wb.scheme("int4/tensor").round(x))


@pytest.mark.parametrize("tile", [(1, 8), (4, 4), (16, 16), (3, 5), (128, 128), (7, 1)])
@pytest.mark.parametrize("shape", [(16, 16), (33, 50), (1, 7), (3, 20, 18)])
def test_tiles_with_ragged_edges(tile, shape):
    spec = f"int8/t{tile[0]}x{tile[1]}"
    x = data(shape)
    want = np.empty_like(x)
    for lead in np.ndindex(*shape[:-2]):
        for top in range(0, shape[-2], tile[0]):
            for left in range(0, shape[-1], tile[1]):
                index = (*lead, slice(top, top + tile[0]), slice(left, left + tile[1]))
                want[index] = by_hand(spec, x[index])
    assert same_bits(wb.scheme(spec).round(x), want)
    assert (
        wb.scheme(spec).quantize(x).scales.shape
        == Layout.of(shape, -1, wb.scheme(spec).scale).scale_shape
    )


def test_blocks_never_straddle_rows():
    x = np.ones((3, 40), np.float32)
    x[0] *= 1000
    y = wb.scheme("int4/g32").round(x)
    assert np.array_equal(y, x)
    assert wb.scheme("int4/g32").quantize(x).scales.shape == (3, 2)


SPECS = [
    "int4/g128", "int4/g128+zp", "uint4/g32+zp", "int8/channel", "int8/tensor", "int8n/token",
    "int3/g5+zp", "int2/g32*f16+zp", "int16/g100", "int1/g16", "uint4/g32", "int4/g64*e8m0+zp",
    "mxfp4", "mxfp6", "mxfp6_e2m3", "mxfp8", "mxfp8_e5m2", "mxint8", "mxfp4(even)", "mxfp4(ceil)",
    "mxfp4(rceil)", "nvfp4", "e4m3fn/tensor", "e4m3fnuz/channel", "e5m2/channel*pow2",
    "e3m2/g8*bf16", "e2m1/g3*f16", "e2m1/g7", "nf4", "nf4/b64", "nf4/g11", "bnb_fp4/b64",
    "dynamic8/b256", "q3.4/g20", "q1.6/g9*e8m0", "e3m4/g16*e5m2*f32", "bf16/tensor", "e3m0/b32",
]  # fmt: skip


def special(seed=0):
    """Rows with NaN, infinities, zeros of both signs, subnormals, huge and one-sided values."""
    x = data((20, 333), seed=seed)
    x[3, 5], x[4, 7], x[5, :9] = np.nan, np.inf, -np.inf
    x[6], x[7] = 0, -0.0
    x[8] *= np.float32(1e-41)
    x[9] *= np.float32(1e36)
    x[10] = 3e38
    x[11], x[12] = np.abs(x[11]), -np.abs(x[12])
    x[13, ::2], x[14] = -0.0, 2.0**-126
    x[15] = np.nan
    return x


def definition(scheme, x, axis=-1, rounding="nearest_even", seed=0):
    """Scales, divide, round, multiply: step by step."""
    layout = Layout.of(x.shape, axis, scheme.scale)
    rows = layout.to_rows(x)
    scales, zeros, _ = apply.choose_scales(scheme, rows, layout)
    spread = None if zeros is None else layout.spread(zeros)
    y = apply.round_scaled(scheme, rows, layout.spread(scales), spread, rounding, seed)
    return layout.from_rows(y)


@pytest.mark.parametrize("spec", SPECS)
def test_fused_kernels_equal_the_definition(spec):
    scheme = wb.scheme(spec)
    with np.errstate(all="ignore"):
        for x in (special(), special()[:, :256].copy(), special()[:, :33].copy(), special()[0, :5]):
            want = definition(scheme, x)
            assert same_bits(scheme.round(x), want), x.shape
            out = x.copy()
            assert scheme.round(out, out=out) is out
            assert same_bits(out, want), "in place"
            out = np.empty((*x.shape, 2), np.float32)[..., 0]
            scheme.round(x, out=out)
            assert same_bits(out, want), "strided out"
            wide = np.repeat(x, 2, axis=-1)[..., ::2]
            assert same_bits(scheme.round(wide), want), "strided input"
            assert same_bits(scheme.round(np.asfortranarray(x)), want), "columns first"


SLOWER = ["int4/g32@mse", "int4/g32+zp@mse", "nf4/b64@percentile(99)", "int8/t16x16",
          "int4/t8x8+zp", "mxfp4@mse", "e4m3fn", "int8/tensor+zp"]  # fmt: skip


@pytest.mark.parametrize("spec", [*SPECS, *SLOWER])
def test_dequantize_equals_round(spec):
    scheme = wb.scheme(spec)
    x = data((13, 97))
    x[2], x[3] = 0, -np.abs(x[3])
    for axis in (-1, 0):
        got = scheme.quantize(x, axis=axis).dequantize()
        want = scheme.round(x, axis=axis)
        assert np.array_equal(got, want)  # integers and codebooks have no code for -0


@pytest.mark.parametrize(
    "spec", ["int4/g32", "mxfp4", "nvfp4", "nf4/b64", "int4/g128+zp", "int8/tensor"]
)
def test_float64_rounds_its_own_values(spec):
    scheme = wb.scheme(spec)
    x = data((4, 256))
    y = scheme.round(x.astype(np.float64))
    assert y.dtype == np.float64
    assert np.allclose(y, scheme.round(x), rtol=3e-7, atol=0)


@pytest.mark.parametrize(
    "rounding", ["toward_zero", "up", "down", "to_odd", "nearest_away", "stochastic"]
)
@pytest.mark.parametrize("spec", ["int4/g32", "mxfp4", "nvfp4", "nf4/b64", "int4/g32+zp"])
def test_other_roundings_under_a_scale(spec, rounding):
    scheme, x = wb.scheme(spec), data((4, 96))
    got = scheme.round(x, rounding=rounding, seed=3)
    assert same_bits(got, definition(scheme, x, rounding=rounding, seed=3))
    assert same_bits(got, scheme.quantize(x, rounding=rounding, seed=3).dequantize() + 0 * x)
    if rounding == "toward_zero" and scheme.scale.levels[0].name == "f32" and "zp" not in spec:
        assert (np.abs(got) <= np.abs(x) * np.float32(1 + 3e-7)).all()


def test_plain_casts_take_every_path_of_a_scheme():
    scheme, x = wb.scheme("e4m3fn"), data((5, 7))
    assert same_bits(scheme.round(x), wb.format("e4m3fn").round(x))
    assert scheme.bits_per_value(x.shape) == 8
    assert scheme.quantize(x).nbytes == 35


def test_bits_per_value():
    figures = {
        "mxfp4": 4.25, "mxfp6": 6.25, "mxfp8": 8.25, "mxint8": 8.25, "int4/g128": 4.25,
        "int4/g128*f16": 4.125, "int4/g128*f16+zp": 4.15625, "nf4/b64": 4.5, "e4m3fn": 8,
    }  # fmt: skip
    for spec, bits in figures.items():
        assert wb.scheme(spec).bits_per_value((4096, 4096)) == bits, spec
    assert wb.scheme("nvfp4").bits_per_value((64, 64)) == 4.5 + 32 / 4096
    assert wb.scheme("mxfp4").bits_per_value((2, 33)) == 4 + 8 * 4 / 66  # tails have their scale
    assert wb.scheme("mxfp4").bits_per_value((0, 3)) == 0


def test_an_axis_that_is_not_there():
    with pytest.raises(WorkbenchError, match="axis 2 → the array has 2 dimensions → use -2 to 1"):
        wb.scheme("int4/g32").round(np.ones((2, 2)), axis=2)
    with pytest.raises(WorkbenchError, match="a tile has two axes → use gN"):
        wb.scheme("int4/t4x4").round(np.ones(4))
