"""Casts of other libraries, one table: who rounds to which format, and through which call.

Every cast takes a float32 array and gives the float32 values after the format. Nothing of a peer
is imported before it is called; what stops one is raised, so that the study can say it.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from types import ModuleType
from typing import Any

import numpy as np

Cast = Callable[[np.ndarray], Any]
BLOCK = 32  # values that share a scale in the MX formats


@dataclass(frozen=True)
class Peer:
    """A library and the formats that it rounds to.

    Args:
        name: of the library, with the mode where one library has several.
        package: the distribution that is installed.
        casts: subject of the study -> function of a flat float32 array, which may change it.

    Example:
        >>> halves = Peer("numpy", "numpy", {"f16": lambda x: x.astype(np.float16)})
        >>> halves.version == np.__version__
        True
    """

    name: str
    package: str
    casts: Mapping[str, Cast] = field(repr=False)

    @property
    def version(self) -> str:
        """The installed version; empty where the package is missing."""
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return ""


def answers(cast: Cast, x: np.ndarray, whole_blocks: bool = False):
    """Which inputs a cast answers, its float32 results, and the kinds of input it raises on.

    A cast that raises is asked again without NaN, then without infinities; where values stand in
    blocks, without the blocks that hold one. What it raises on the number 1 is raised here.

    Example:
        >>> answers(lambda x: x.astype(np.float16), np.float32([1.0, 65520.0]))
        (array([ True,  True]), array([ 1., inf], dtype=float32), ())
    """
    _quietly(cast, np.ones(BLOCK, np.float32))
    left_out = [np.zeros(x.size, bool), np.isnan(x), ~np.isfinite(x)]
    if whole_blocks:
        left_out = [np.repeat(v.reshape(-1, BLOCK).any(1), BLOCK) for v in left_out]
    for refused, out in zip(((), ("NaN",), ("NaN", "infinity")), left_out, strict=True):
        try:
            return ~out, _quietly(cast, x[~out]), refused
        except Exception as error:
            problem = error
    raise problem


def _quietly(cast: Cast, x: np.ndarray) -> np.ndarray:
    """What a cast makes of a copy of `x`, as float32 of its size, without its warnings."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.asarray(cast(x.copy())).astype(np.float32).reshape(x.shape)


def _load(name: str) -> ModuleType:
    return importlib.import_module(name)


def _numpy(x: np.ndarray, dtype: str) -> np.ndarray:
    return x.astype(dtype)


def _torch(x: np.ndarray, dtype: str) -> np.ndarray:
    torch = _load("torch")
    return torch.from_numpy(x).to(getattr(torch, dtype)).to(torch.float32).numpy()


def _ml_dtypes(x: np.ndarray, dtype: str) -> np.ndarray:
    return x.astype(getattr(_load("ml_dtypes"), dtype))


def _gfloat(x: np.ndarray, info: str | tuple, mode: str, sat: bool) -> np.ndarray:
    """In float64, where gfloat is exact; `info` is a name there, or the fields of a format."""
    gfloat, types = _load("gfloat"), _load("gfloat.types")
    if isinstance(info, str):
        record = getattr(_load("gfloat.formats"), "format_info_" + info)
    else:
        bits, precision, bias, minus_zero, domain, nans = info
        record = types.FormatInfo(
            "conformance", bits, precision, bias=bias, has_nz=minus_zero, is_signed=True,
            domain=types.Domain[domain], num_high_nans=nans, has_subnormals=True,
            is_twos_complement=False,
        )  # fmt: skip
    return gfloat.round_ndarray(record, x.astype(np.float64), gfloat.RoundMode[mode], sat=sat)


def _gfloat_blocks(x: np.ndarray, info: str) -> np.ndarray:
    gfloat = _load("gfloat")
    record = getattr(_load("gfloat.formats"), "format_info_" + info)
    blocks = x.astype(np.float64).reshape(-1, BLOCK)
    rows = [gfloat.quantize_block(record, row, gfloat.compute_scale_amax) for row in blocks]
    return np.concatenate(rows)


def _torchao(x: np.ndarray, exponent: int, mantissa: int) -> np.ndarray:
    torch, utils = _load("torch"), _load("torchao.prototype.custom_fp_utils")
    codes = utils._f32_to_floatx_unpacked(torch.from_numpy(x), exponent, mantissa)
    return utils._floatx_unpacked_to_f32(codes, exponent, mantissa).numpy()


def _torchao_blocks(x: np.ndarray, rule: str) -> np.ndarray:
    torch, mx = _load("torch"), _load("torchao.prototype.mx_formats.mx_tensor")
    tensor = torch.from_numpy(x.reshape(-1, BLOCK))
    mode = mx.ScaleCalculationMode(rule)
    packed = mx.MXTensor.to_mx(tensor, torch.float4_e2m1fn_x2, BLOCK, mode)
    return packed.dequantize(torch.float32).numpy()


def _torchao_nf4(x: np.ndarray) -> np.ndarray:
    torch = _load("torch")
    kind = _load("torchao.quantization.quantize_.workflows.nf4.nf4_tensor").NF4Tensor
    table = kind.from_tensor(torch.zeros(64, 64), 64, 64).nf4.float()
    codes = kind.quantize_tensor_nearest(torch.from_numpy(x), table)
    return kind.dequantize(codes, table).numpy()


def _pychop(x: np.ndarray, exponent: int, mantissa: int, mode: int, backend: str) -> Any:
    chop = _load("pychop").Chop(exponent, mantissa, rmode=mode)
    if backend == "numpy":
        return chop(x)
    return chop(_load("torch").from_numpy(x)).numpy()


def _pychop_blocks(x: np.ndarray, name: str) -> np.ndarray:
    return _load("pychop").mx_quantize(x, format=name, block_size=BLOCK)


def _qtorch(x: np.ndarray, exponent: int, mantissa: int) -> np.ndarray:
    """Its first import compiles C++, which takes about a minute and needs a compiler."""
    torch, quant = _load("torch"), _load("qtorch.quant")
    return quant.float_quantize(torch.from_numpy(x), exponent, mantissa, "nearest").numpy()


def _apytypes(x: np.ndarray, exponent: int, mantissa: int) -> np.ndarray:
    return _load("apytypes").APyFloatArray.from_array(x, exponent, mantissa).to_numpy()


def _apytypes_cast(x: np.ndarray, exponent: int, mantissa: int, mode: str) -> np.ndarray:
    """From its own float32, which is the way to every rounding it has."""
    library = _load("apytypes")
    wide = library.APyFloatArray.from_array(x, 8, 23)
    return wide.cast(exponent, mantissa, None, library.QuantizationMode[mode]).to_numpy()


def _bitsandbytes(x: np.ndarray, code: str) -> np.ndarray:
    """In blocks of 64 whose first value is 1, so that every scale is 1."""
    torch, functional = _load("torch"), _load("bitsandbytes.functional")
    rows = -(-x.size // 63)
    padded = np.ones((rows, 64), np.float32)
    padded[:, 1:] = np.pad(x, (0, rows * 63 - x.size)).reshape(rows, 63)
    tensor = torch.from_numpy(padded)
    if code == "dynamic":
        tree = functional.create_dynamic_map(True)
        pair = functional.quantize_blockwise(tensor, code=tree, blocksize=64)
        back = functional.dequantize_blockwise(*pair, blocksize=64)
    else:
        back = functional.dequantize_4bit(
            *functional.quantize_4bit(tensor, blocksize=64, quant_type=code)
        )
    return back.numpy()[:, 1:].reshape(-1)[: x.size]


# Libraries that know a layout alone: exponent and mantissa bits. What their largest codes mean is
# theirs to say, so both formats of that layout are asked of them.
LAYOUTS = {
    "f16": (5, 10), "bf16": (8, 7), "e5m2": (5, 2), "e4m3fn": (4, 3), "e4m3ieee": (4, 3),
    "e3m4": (3, 4), "e3m2": (3, 2), "e2m3": (2, 3), "e2m1": (2, 1),
}  # fmt: skip
TORCH_DTYPES = {
    "f16": "float16", "bf16": "bfloat16", "e5m2": "float8_e5m2", "e4m3fn": "float8_e4m3fn",
    "e5m2fnuz": "float8_e5m2fnuz", "e4m3fnuz": "float8_e4m3fnuz", "e8m0": "float8_e8m0fnu",
}  # fmt: skip
ML_DTYPES = {
    "bf16": "bfloat16", "e5m2": "float8_e5m2", "e4m3fn": "float8_e4m3fn",
    "e4m3ieee": "float8_e4m3", "e3m4": "float8_e3m4", "e5m2fnuz": "float8_e5m2fnuz",
    "e4m3fnuz": "float8_e4m3fnuz", "e4m3fnuz(bias=11)": "float8_e4m3b11fnuz",
    "e3m2": "float6_e3m2fn", "e2m3": "float6_e2m3fn", "e2m1": "float4_e2m1fn",
    "e8m0": "float8_e8m0fnu",
}  # fmt: skip
# A record of gfloat by name, or bits, precision, bias, whether -0 exists, domain, codes of NaN.
GFLOAT: dict[str, str | tuple] = {
    "f16": "binary16", "bf16": "bfloat16", "e5m2": "ocp_e5m2", "e4m3fn": "ocp_e4m3",
    "e4m3ieee": (8, 4, 7, True, "Extended", 7), "e3m4": (8, 5, 3, True, "Extended", 15),
    "e5m2fnuz": (8, 3, 16, False, "Finite", 0), "e4m3fnuz": (8, 4, 8, False, "Finite", 0),
    "e4m3fnuz(bias=11)": (8, 4, 11, False, "Finite", 0), "e8m0": "ocp_e8m0",
}  # fmt: skip
FINITE = {"e3m2": "ocp_e3m2", "e2m3": "ocp_e2m3", "e2m1": "ocp_e2m1"}
# Roundings other than to nearest even, which are compared in e5m2.
GFLOAT_MODES = {
    "nearest_away": "TiesToAway", "toward_zero": "TowardZero", "up": "TowardPositive",
    "down": "TowardNegative",
}  # fmt: skip
PYCHOP_MODES = {
    "up": 2, "down": 3, "toward_zero": 4, "nearest_zero": 7, "nearest_away": 8, "to_odd": 9,
}  # fmt: skip
APYTYPES_MODES = {
    "up": "TO_POS", "down": "TO_NEG", "toward_zero": "TO_ZERO", "nearest_zero": "TIES_ZERO",
    "nearest_away": "TIES_AWAY", "to_odd": "JAM_UNBIASED",
}  # fmt: skip


def _layouts(function: Callable[..., Any], names: Iterable[str] = LAYOUTS) -> dict[str, Cast]:
    """A function of exponent and mantissa bits, bound to each layout."""
    pairs = {name: LAYOUTS[name] for name in names}
    return {n: partial(function, exponent=e, mantissa=m) for n, (e, m) in pairs.items()}


def _gfloat_casts(sat: bool) -> dict[str, Cast]:
    """Gfloat with one answer to overflow; its formats without NaN always saturate."""
    table = {**GFLOAT, **FINITE}
    nearest = {
        name: partial(_gfloat, info=info, mode="TiesToEven", sat=sat or name in FINITE)
        for name, info in table.items()
    }
    others: dict[str, Cast] = {
        f"e5m2 {ours}": partial(_gfloat, info="ocp_e5m2", mode=mode, sat=sat)
        for ours, mode in GFLOAT_MODES.items()
    }
    return nearest | others


def _pychop_casts(backend: str) -> dict[str, Cast]:
    """Pychop with one backend."""
    nearest = _layouts(partial(_pychop, mode=1, backend=backend))
    others = {
        f"e5m2 {ours}": partial(_pychop, exponent=5, mantissa=2, mode=mode, backend=backend)
        for ours, mode in PYCHOP_MODES.items()
    }
    return nearest | others


def _apytypes_casts() -> dict[str, Cast]:
    """Of apytypes with a chosen rounding, which its method `cast` takes."""
    nearest = _layouts(partial(_apytypes_cast, mode="TIES_EVEN"))
    others = {
        f"e5m2 {ours}": partial(_apytypes_cast, exponent=5, mantissa=2, mode=mode)
        for ours, mode in APYTYPES_MODES.items()
    }
    return nearest | others


def _torchao_casts() -> dict[str, Cast]:
    floats = _layouts(_torchao, FINITE)
    blocks: dict[str, Cast] = {
        f"mxfp4({rule})": partial(_torchao_blocks, rule=rule)
        for rule in ("floor", "even", "ceil", "rceil")
    }
    return {**floats, **blocks, "nf4": _torchao_nf4}


PEERS = (
    Peer("numpy", "numpy", {"f16": partial(_numpy, dtype="float16")}),
    Peer("torch", "torch", {n: partial(_torch, dtype=d) for n, d in TORCH_DTYPES.items()}),
    Peer("ml_dtypes", "ml_dtypes", {n: partial(_ml_dtypes, dtype=d) for n, d in ML_DTYPES.items()}),
    Peer(
        "gfloat", "gfloat",
        _gfloat_casts(False) | {"mxfp4(floor)": partial(_gfloat_blocks, info="mxfp4_e2m1")},
    ),
    Peer("gfloat sat", "gfloat", _gfloat_casts(True)),
    Peer("torchao", "torchao", _torchao_casts()),
    Peer(
        "pychop", "pychop",
        _pychop_casts("numpy") | {"mxfp4(floor)": partial(_pychop_blocks, name="mxfp4_e2m1")},
    ),
    Peer("pychop torch", "pychop", _pychop_casts("torch")),
    Peer("qtorch", "qtorch", _layouts(_qtorch)),
    Peer("apytypes", "apytypes", _layouts(_apytypes)),
    Peer("apytypes cast", "apytypes", _apytypes_casts()),
    Peer(
        "bitsandbytes", "bitsandbytes",
        {n: partial(_bitsandbytes, code=c)
         for n, c in (("nf4", "nf4"), ("bnb_fp4", "fp4"), ("dynamic8", "dynamic"))},
    ),
)  # fmt: skip
