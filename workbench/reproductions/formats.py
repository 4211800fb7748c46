"""Reproductions of published number formats: each returns its figures by name."""

from __future__ import annotations

import math

import numpy as np

from ..formats import ROUNDINGS, QuarterFormat, bias_for, pychop
from ..formats import parse as parse_format
from ..formats.quarter import product
from ..kernels.layouts import float16_by_shift, pack_split, pack_trits, unpack_split, unpack_trits
from ..kernels.packing import pack, unpack
from ..quantizers import best_power
from ..schemes import parse
from .data import gaussian, relative_error, student

Figures = dict[str, float]


def bit_reduction() -> Figures:
    """[5] Mantissas cut by masking: the mean relative error of truncation, and its first order.

    Example:
        >>> round(bit_reduction()["first order, times 2^M"], 4)
        -0.3607
    """
    x = gaussian(512, 2048).astype(np.float64)
    figures: Figures = {"first order, times 2^M": -1 / (4 * math.log(2))}
    for mantissa in (7, 5, 3, 2):
        cut = parse_format(f"e8m{mantissa}").round(x, "toward_zero")
        figures[f"mean relative error, M = {mantissa}"] = float(((cut - x) / x).mean())
    return figures


def real_bias() -> Figures:
    """[13] Per-channel biases of a float folded into the other operand's exponents."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 48)) * np.exp2(rng.integers(0, 3, 48))
    w = rng.standard_normal((32, 48))
    shift = rng.integers(0, 4, 48)
    bias = bias_for(2, 1, float(np.abs(x).max()))
    columns = [
        parse_format(f"e2m1(bias={float(bias + k)!r})").round(x[:, j])
        for j, k in enumerate(shift)
    ]  # fmt: skip
    direct = np.stack(columns, 1) @ w.T
    moved = parse_format(f"e2m1(bias={bias!r})").round(x * np.exp2(shift)) @ (w / np.exp2(shift)).T
    grid = parse_format("e3m2(bias=3.0)").values
    return {
        "relative difference of the two products": float(
            np.abs(direct - moved).max() / np.abs(direct).max()
        ),
        "values of e3m2, bias 3": float(grid.size),
        "largest of e3m2, bias 3": float(grid[-1]),
    }


def dynamic_fixed_point() -> Figures:
    """[16] Products of 16-bit mantissas under one exponent a tensor, and how many fit 32 bits."""
    a, b = gaussian(2, 4096, seed=3)
    quantized = [parse("dfp16").quantize(v) for v in (a, b)]
    whole = [np.rint(q.dequantize() / q.scales[0, 0]).astype(np.int64) for q in quantized]
    step = float(quantized[0].scales[0, 0]) * float(quantized[1].scales[0, 0])
    exact = float(a.astype(np.float64) @ b)
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    worst = max(int(np.abs(w).max()) ** 2 for w in whole)
    return {
        "dot product error over the norms": abs(float(whole[0] @ whole[1]) * step - exact) / scale,
        "largest products that fit int32": float(2**31 // worst),
        "largest partial sum of 13-bit operands": float(
            np.abs(np.cumsum((whole[0] >> 3) * (whole[1] >> 3))).max()
        ),
    }


def power_exponent() -> Figures:
    """[19] The power of least error without data, on three densities, 4 bits."""
    rng = np.random.default_rng(0)
    samples = {
        "gaussian": rng.standard_normal((64, 1024)), "laplace": rng.laplace(size=(64, 1024)),
        "uniform": rng.uniform(-1, 1, (64, 1024)),
    }  # fmt: skip
    figures: Figures = {}
    for name, x in samples.items():
        found = best_power(x.astype(np.float32), 4)
        figures[f"power, {name}"] = found.power
        figures[f"error over integers', {name}"] = found.error / found.uniform
    return figures


def sorted_blocks() -> Figures:
    """[20] Score errors of keys in block floating point, channels plain and sorted by norm."""
    rng = np.random.default_rng(4)
    norms = np.exp2(1.2 * rng.standard_normal(128))
    keys, queries = rng.standard_normal((256, 128)) * norms, rng.standard_normal((64, 128))
    figures: Figures = {}
    for n in (128, 64, 32, 16):
        for name, order in (("plain", np.arange(128)), ("sorted", np.argsort(norms))):
            rounded = parse(f"bfp4/b{n}").round(keys[:, order].astype(np.float32))
            exact = queries @ keys.T
            scores = queries[:, order] @ rounded.T.astype(np.float64)
            figures[f"block {n}, {name}"] = float(((scores - exact) ** 2).mean() / exact.var())
    return figures


def k_hot_grids() -> Figures:
    """[22] Magnitudes of 8 bits with at most K bits set, and the largest distance to one."""
    x = np.arange(256.0)
    figures: Figures = {}
    for name in ("khot8(k=1)", "khot8(k=2)", "khot8(k=3)", "khot8(k=2,signed)"):
        grid = parse_format(name)
        figures[f"magnitudes, {name}"] = float(np.unique(np.abs(grid.values)).size)
        figures[f"largest error, {name}"] = float(np.abs(grid.round(x) - x).max())
    return figures


def bipolar_planes() -> Figures:
    """[27] Products of bipolar integers as popcounts of bit planes, against integer products."""
    rng = np.random.default_rng(0)
    wrong = 0
    for w_bits in range(1, 9):
        for a_bits in range(1, 9):
            k = 200
            w, a = rng.integers(0, 1 << w_bits, k), rng.integers(0, 1 << a_bits, k)
            exact = int(
                parse_format(f"bipolar{w_bits}").decode(w)
                @ parse_format(f"bipolar{a_bits}").decode(a)
            )
            planes = sum(
                (k - 2 * int(((w >> i ^ a >> j) & 1).sum())) << (i + j)
                for i in range(w_bits)
                for j in range(a_bits)
            )
            wrong += planes != exact
    return {"width pairs": 64.0, "wrong products": float(wrong)}


def bitmod() -> Figures:
    """[37] Relative errors on Gaussian groups of 128, and which special values they choose."""
    x = gaussian(4096, 128)
    figures: Figures = {}
    for width, base in ((3, "codebook(-4,-2,-1,0,1,2,4)"), (4, "e2m1")):
        figures[f"int{width} asymmetric"] = relative_error(x, f"int{width}/g128+zp")
        figures[f"fp{width}"] = relative_error(x, f"{base}/g128")
        figures[f"bitmod{width}"] = relative_error(x, f"bitmod{width}/g128")
        choice = parse(f"bitmod{width}/g128").quantize(x).choice
        assert choice is not None
        figures[f"bitmod{width}: share of wider grids"] = float((choice >= 2).mean())
    return figures


def dynamic_tree() -> Figures:
    """[64] The dynamic map, and second moments of an optimizer under it and under a linear one."""
    tree = parse_format("dynamic8")
    x = np.exp(np.random.default_rng(0).normal(-12, 3, (64, 2048))).astype(np.float32)
    figures: Figures = {
        "values": float(len(tree)), "largest": tree.max, "smallest": tree.smallest,
        "most negative": tree.min,
        "bits a value, blocks of 2048": parse("dynamic8/b2048").bits_per_value(x.shape),
    }  # fmt: skip
    for name in ("udynamic8", "uint8"):
        y = parse(f"{name}/b2048").round(x)
        figures[f"share lost to zero, {name}"] = float((y == 0).mean())
        ratio = np.abs(np.sqrt(y) - np.sqrt(x)) / np.sqrt(x)
        figures[f"median relative error of the root, {name}"] = float(np.median(ratio))
    return figures


def fp6_split() -> Figures:
    """[71] FP6 stored as two and four bits, decoded by shifts, against integers."""
    f = parse_format("e3m2")  # its bias is 3
    codes = np.arange(64, dtype=np.uint8)
    decoded = float16_by_shift(codes, 3, 2).astype(np.float64) * 2.0 ** (15 - 3)
    many = np.random.default_rng(0).integers(0, 64, 64 * 64).astype(np.uint8)
    segments = pack_split(many, (2, 4))
    x, heavy = gaussian(512, 1024), student(512, 1024)
    return {
        "codes decoded wrongly": float((decoded != f.decode(codes)).sum()),
        "codes unpacked wrongly": float((unpack_split(segments, (2, 4), many.size) != many).sum()),
        "bytes of 4096 codes": float(sum(s.size for s in segments)),
        "fp6 a row, gaussian": relative_error(x, "e3m2/channel*f16"),
        "int4 g128 asymmetric, gaussian": relative_error(x, "int4/g128+zp"),
        "int6 a row, gaussian": relative_error(x, "int6/channel"),
        "fp6 a row, t(3)": relative_error(heavy, "e3m2/channel*f16"),
        "int6 a row, t(3)": relative_error(heavy, "int6/channel"),
    }


def trilm() -> Figures:
    """[83] Ternary weights by their mean magnitude, beside binary and the best ternary scale."""
    x = gaussian(1024, 1024)
    y = parse("ternary/tensor@absmean").round(x)
    codes = parse_format("ternary").encode(y[0] / np.abs(y[0]).max())
    packed = pack_trits(codes)
    return {
        "share of zeros": float((y == 0).mean()),
        "error, binary": relative_error(x, "binary/tensor@absmean"),
        "error, ternary by mean": relative_error(x, "ternary/tensor@absmean"),
        "error, ternary searched": relative_error(x, "ternary/tensor@mse"),
        "bits a trit, packed": 8 * packed.size / codes.size,
        "trits unpacked wrongly": float((unpack_trits(packed, codes.size) != codes).sum()),
    }


def pychop_modes() -> Figures:
    """[96] Laws of the nine modes on binary16, and what a first rounding costs the second."""
    x = student(256, 1024).astype(np.float64)
    half = parse_format(pychop.FORMATS["h"])
    rounded = {mode: half.round(x, name) for mode, name in pychop.MODES.items()}
    odd = sum(int((half.round(-x, pychop.MODES[m]) != -rounded[m]).sum()) for m in (1, 4, 7, 8, 9))
    mirrored = int((half.round(-x, "up") != -rounded[3]).sum())
    direct, wide = parse_format("e8m3").round(x), parse_format("e8m5")
    twice = {name: parse_format("e8m3").round(wide.round(x, name)) for name in ROUNDINGS[::6]}
    bias = float((rounded[5] - x).sum() / half.precision(x).sum())
    return {
        "modes": float(len(pychop.MODES)),
        "values not odd in modes 1, 4, 7, 8, 9": float(odd),
        "values where up is not the mirror of down": float(mirrored),
        "bias of mode 5, units in the last place": bias,
        "share rounded wrongly after to-odd": float((twice["to_odd"] != direct).mean()),
        "share rounded wrongly after nearest": float((twice["nearest_even"] != direct).mean()),
    }


def tilus_types() -> Figures:
    """[99] The largest value of every Tilus float, and packing of all widths."""
    names = ("f7e5m1", "f7e4m2", "f7e3m3", "f7e2m4", "f6e4m1", "f6e3m2", "f6e2m3", "f5e3m1",
             "f5e2m2", "f5e1m3", "f4e2m1", "f4e1m2", "f3e1m1")  # fmt: skip
    figures: Figures = {f"largest of {name}": parse_format(name).max for name in names}
    rng, wrong = np.random.default_rng(0), 0
    for width in range(1, 9):
        for count in (1, 7, 8, 9, 1001):
            codes = rng.integers(0, 1 << width, count).astype(np.uint8)
            packed = pack(codes, width)
            exact = packed.size == -(-count * width // 8)
            wrong += not (exact and np.array_equal(unpack(packed, width, count), codes))
    return figures | {"widths and lengths packed wrongly": float(wrong)}


def quarter_turns() -> Figures:
    """[101] Complex weights as quarter turns: codes, scale, error, product without weights."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((256, 1024)) + 1j * rng.standard_normal((256, 1024))
    q = QuarterFormat().quantize(z)
    x = rng.standard_normal((4, 1024)) + 1j * rng.standard_normal((4, 1024))
    dense = x.conj() @ q.values.T
    shares = np.bincount(q.codes.ravel(), minlength=4) / z.size
    return {
        "entropy of the codes, bits": float(-(shares * np.log2(shares)).sum()),
        "scale": q.real,
        "relative error": float((np.abs(q.values - z) ** 2).mean() / (np.abs(z) ** 2).mean()),
        "error of a bit for each real number": relative_error(
            z.real.astype(np.float32), "binary/tensor@absmean"
        ),
        "largest difference of the products": float(np.abs(product(x, q) - dense).max()),
    }


def adapter_codes() -> Figures:
    """[107] Codes of 1-bit adapters: medians of the normal density's cells, and their errors."""
    x = gaussian(1024, 1024).astype(np.float64)
    w = np.random.default_rng(1).normal(0.3, 0.02, (48, 33)).astype(np.float32)
    stored = parse("median1/tensor+mean@std").quantize(w)
    figures: Figures = {
        "bytes of 1584 weights, 1 bit": float(stored.nbytes),
        "largest difference after storing": float(
            np.abs(stored.dequantize() - parse("median1/tensor+mean@std").round(w)).max()
        ),
    }
    for width in (1, 2, 3):
        grid = parse_format(f"median{width}")
        figures[f"largest code, {width} bit"] = grid.max
        figures[f"mean absolute error, {width} bit"] = float(np.abs(grid.round(x) - x).mean())
    least = parse_format("lloyd1")
    figures["mean absolute error of the L2 code, 1 bit"] = float(np.abs(least.round(x) - x).mean())
    return figures
