"""What other libraries do for the same work: optional, found only where they are installed.

Each function returns candidates of one library; an empty list where it is missing or refuses.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from types import ModuleType

import numpy as np

from .bench import Candidate

TORCH_DTYPES = {
    "e4m3fn": "float8_e4m3fn",
    "e5m2": "float8_e5m2",
    "bf16": "bfloat16",
    "f16": "float16",
}
ML_DTYPES = {
    "e4m3fn": "float8_e4m3fn", "e5m2": "float8_e5m2", "bf16": "bfloat16", "e3m2": "float6_e3m2fn",
    "e2m3": "float6_e2m3fn", "e2m1": "float4_e2m1fn",
}  # fmt: skip


def library(name: str) -> ModuleType | None:
    """A module if it can be imported, without its import-time warnings; else None.

    Example:
        >>> library("no_such_library") is None
        True
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


def _quiet(run: Callable[[], object]) -> Callable[[], object]:
    def call():
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return run()

    return call


def working(candidates: list[Candidate]) -> list[Candidate]:
    """Those candidates whose work can be done at all on this machine.

    Example:
        >>> working([Candidate("broken", "peer", lambda: 1 / 0)])
        []
    """
    kept = []
    for candidate in candidates:
        try:
            candidate.run()
        except Exception:  # whatever stops a peer is not our failure
            continue
        kept.append(candidate)
    return kept


def casts(name: str, x: np.ndarray, compiled: bool = True) -> list[Candidate]:
    """Casts to a format and back: torch, torch.compile, ml_dtypes, torchao."""
    found: list[Candidate] = []
    torch, ml_dtypes = library("torch"), library("ml_dtypes")
    if torch is not None and name in TORCH_DTYPES:
        values, dtype = torch.from_numpy(x), getattr(torch, TORCH_DTYPES[name])

        def cast(v):
            return v.to(dtype).to(torch.float32)

        found.append(Candidate("torch cast", "peer", lambda: cast(values)))
        if compiled:
            compiled_cast = torch.compile(cast)
            found.append(Candidate("torch.compile", "peer", _quiet(lambda: compiled_cast(values))))
    if ml_dtypes is not None and name in ML_DTYPES:
        kind = getattr(ml_dtypes, ML_DTYPES[name])
        run = _quiet(lambda: x.astype(kind).astype(np.float32))
        found.append(Candidate("ml_dtypes", "peer", run))
    return working(found)


def any_float(exponent: int, mantissa: int, x: np.ndarray) -> list[Candidate]:
    """Floats chosen at run time: gfloat and pychop."""
    found: list[Candidate] = []
    gfloat, types, pychop = library("gfloat"), library("gfloat.types"), library("pychop")
    if gfloat is not None and types is not None:
        info = types.FormatInfo(
            "bench", 1 + exponent + mantissa, mantissa + 1, bias=(1 << exponent >> 1) - 1,
            is_signed=True, domain=types.Domain.Extended, has_nz=True, has_subnormals=True,
            num_high_nans=(1 << mantissa) - 1, is_twos_complement=False,
        )  # fmt: skip
        found.append(Candidate("gfloat", "peer", _quiet(lambda: gfloat.round_ndarray(info, x))))
    if pychop is not None:
        chop = pychop.Chop(exp_bits=exponent, sig_bits=mantissa, rmode=1)
        found.append(Candidate("pychop", "peer", _quiet(lambda: chop(x))))
    return working(found)


def _torch_scaled(x, low: int, high: int):
    """The usual torch operations of symmetric quantization along the last axis."""
    scale = x.abs().amax(-1, keepdim=True) / high
    return (x / scale).round().clamp(low, high) * scale


def _torch_affine(x, codes: int):
    """The usual torch operations of quantization with a zero point along the last axis."""
    low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    scale = (high - low) / codes
    zero = (-low / scale).round()
    return ((x / scale).round() + zero).clamp(0, codes).sub(zero).mul(scale)


def integers(x: np.ndarray, bits: int, group: int, zero_point: bool) -> list[Candidate]:
    """Integer groups: torch operations, and torchao's primitives."""
    torch = library("torch")
    if torch is None:
        return []
    values = torch.from_numpy(x).reshape(-1, group)
    high = 2 ** (bits - 1) - 1

    def work():
        if zero_point:
            return _torch_affine(values, 2**bits - 1)
        return _torch_scaled(values, -high - 1, high)

    found = [Candidate("torch ops", "peer", work)]
    ao = library("torchao.quantization.quant_primitives")
    if ao is not None:
        found.append(
            Candidate("torchao", "peer", _quiet(_torchao_integers(ao, values, bits, group)))
        )
    return working(found)


def _torchao_integers(ao, x, bits: int, group: int) -> Callable[[], object]:
    import torch

    block, kind = (1, group), (torch.int8, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    def run():
        scale, zero = ao.choose_qparams_affine(
            x, ao.MappingType.ASYMMETRIC, block, *kind, scale_dtype=torch.float32
        )
        codes = ao.quantize_affine(x, block, scale, zero, *kind)
        return ao.dequantize_affine(codes, block, scale, zero, *kind, output_dtype=torch.float32)

    return run


def static_int8(x: np.ndarray, scale: float) -> list[Candidate]:
    """int8 with a scale that is known: torch's own fused operation."""
    torch = library("torch")
    if torch is None:
        return []
    values = torch.from_numpy(x)
    run = lambda: torch.fake_quantize_per_tensor_affine(values, scale, 0, -128, 127)  # noqa: E731
    return working([Candidate("torch fake_quantize", "peer", run)])


def blocks(name: str, x: np.ndarray) -> list[Candidate]:
    """Block formats: torchao's emulation, bitsandbytes' processor kernels."""
    torch = library("torch")
    if torch is None:
        return []
    values = torch.from_numpy(x)
    if name == "mxfp4" and (mx := library("torchao.prototype.mx_formats.mx_tensor")):
        convert = lambda: mx.MXTensor.to_mx(values, torch.float4_e2m1fn_x2, 32)  # noqa: E731
        return working([
            Candidate("torchao", "peer", _quiet(lambda: convert().dequantize(torch.float32)))
        ])  # fmt: skip
    if name == "nvfp4" and (nv := library("torchao.prototype.mx_formats.nvfp4_tensor")):

        def nvfp4():
            whole = nv.per_tensor_amax_to_scale(values.abs().amax())
            return nv.NVFP4Tensor.to_nvfp4(values, 16, whole).dequantize(torch.float32)

        return working([Candidate("torchao", "peer", _quiet(nvfp4))])
    if name == "nf4/b64" and (bnb := library("bitsandbytes.functional")):

        def nf4():
            return bnb.dequantize_4bit(*bnb.quantize_4bit(values, blocksize=64, quant_type="nf4"))

        return working([Candidate("bitsandbytes", "peer", _quiet(nf4))])
    return []


def stochastic(x: np.ndarray) -> list[Candidate]:
    """Stochastic rounding to e4m3: gfloat with explicit random bits, pychop's own."""
    found: list[Candidate] = []
    gfloat, formats, pychop = library("gfloat"), library("gfloat.formats"), library("pychop")
    if gfloat is not None and formats is not None:
        rng = np.random.default_rng(0)

        def run():
            draws = rng.integers(0, 1 << 16, x.shape)
            mode = gfloat.RoundMode.StochasticFastest
            info = formats.format_info_ocp_e4m3
            return gfloat.round_ndarray(info, x, mode, sat=True, srbits=draws, srnumbits=16)

        found.append(Candidate("gfloat", "peer", _quiet(run)))
    if pychop is not None:
        chop = pychop.Chop(exp_bits=4, sig_bits=3, rmode=5)
        found.append(Candidate("pychop", "peer", _quiet(lambda: chop(x))))
    return working(found)
