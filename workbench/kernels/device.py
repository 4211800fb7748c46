"""Rounding on another device through torch operations, with the bits of the compiled kernels.

Everything is written for a tensor wherever it lies, so that a processor can check what a GPU will
compute. float32 to nearest-even takes the fast steps, all else exact float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..errors import WorkbenchError
from .casts import FloatRounder, GridRounder, Rounder, TableRounder, keys_of
from .steps import (
    CUT,
    INFINITE,
    NEAREST_AWAY,
    NEAREST_EVEN,
    NEAREST_ZERO,
    SATURATE,
    STOCHASTIC,
    STOCHASTIC_EQUAL,
    TO_ODD,
    TOWARD_ZERO,
    UP,
    AnyFloat,
    FastFloat,
    Grid,
    least_fractions,
)
from .steps import DOWN as _DOWN

_MAGNITUDE, _EXPONENT = 0x7FFFFFFF, 0x7F800000
_EXPONENT64 = 0x7FF0000000000000
_WORD = 0xFFFFFFFF


def as_values(x: torch.Tensor) -> torch.Tensor:
    """`x` as float32 or float64; halves are widened, other dtypes raise `WorkbenchError`.

    Example:
        >>> as_values(torch.ones(2, dtype=torch.float16)).dtype
        torch.float32
    """
    if not x.is_floating_point():
        raise WorkbenchError(
            f"a tensor of {x.dtype}",
            "the workbench rounds float16, bfloat16, float32 and float64 values",
            "pass x.to(torch.float32)",
        )
    return x.detach() if x.dtype in (torch.float32, torch.float64) else x.detach().float()


def deliver(y: torch.Tensor, out: Any) -> torch.Tensor:
    """`y`, or `out` with the values of `y` in it; an `out` that does not fit raises.

    Example:
        >>> deliver(torch.ones(2), torch.empty(2))
        tensor([1., 1.])
    """
    if out is None:
        return y
    if not isinstance(out, torch.Tensor) or out.shape != y.shape or out.dtype != y.dtype:
        raise WorkbenchError(
            f"out of shape {tuple(np.shape(out))} and {getattr(out, 'dtype', type(out).__name__)}",
            f"the result has shape {tuple(y.shape)} and {y.dtype}",
            "pass out=torch.empty_like(x) or leave it away",
        )
    return out.copy_(y)


def round_elements(
    x: torch.Tensor, rounder: Rounder, mode: int, seed: int = 0, out: Any = None
) -> torch.Tensor:
    """Every value of a tensor rounded on the tensor's device.

    Args:
        x: a tensor of any shape, float16, bfloat16, float32 or float64.
        rounder: what a format's `rounder` is.
        mode: the number of the rounding.
        seed: for the stochastic modes; draws go by position in row order, as in the kernels.
        out: where to write; may be `x`.

    Example:
        >>> import workbench as wb
        >>> round_elements(torch.tensor([0.3, 100.0]), wb.format("e2m1").rounder, 0)
        tensor([0.5000, 6.0000])
    """
    values = as_values(x)
    fast = mode == NEAREST_EVEN and values.dtype == torch.float32 and rounder.has_fast_path
    if fast and isinstance(rounder, FloatRounder):
        return deliver(fast_float(values, rounder.fast), out)
    wide = values.double()
    if isinstance(rounder, TableRounder):
        y = _table(wide, rounder, mode, _uniform(values, mode, seed))
    else:
        limits = _limits(values, mode, seed)
        if isinstance(rounder, GridRounder):
            y = _grid(wide, limits, rounder.grid)
        else:
            y = _any_float(wide, limits, mode, rounder.any)
    return deliver(y.to(values.dtype), out)


def fast_float(x: torch.Tensor, p: FastFloat) -> torch.Tensor:
    """float32 values to nearest-even by the fast parameters of a float: the lanes' arithmetic.

    Example:
        >>> import workbench as wb
        >>> fast_float(torch.tensor([1.06]), wb.format("e4m3fn").rounder.fast)
        tensor([1.])
    """
    p = FastFloat(*(number.item() for number in p))
    bits = x.view(torch.int32)
    if p.kind == CUT:
        odd = (bits & p.last).ne(0).int()
        return torch.where(x.isnan(), x, ((bits + p.half + odd) & p.mask).view(torch.float32))
    y = x.clamp(-p.top, p.top) if p.kind == SATURATE else x
    most = int(np.float32(p.top).view(np.int32)) & _EXPONENT
    exponent = (y.view(torch.int32) & _EXPONENT).clamp(max=most).clamp(min=p.least)
    c = (exponent + p.shift).view(torch.float32)
    y = (y + c) - c
    if p.kind == INFINITE:
        y = (y * p.grow) * p.shrink
    elif p.kind != SATURATE:
        y = torch.where((y.abs() > p.top) | x.isinf(), torch.nan, y)
    return (y.view(torch.int32) | (bits & p.sign)).view(torch.float32)


def _uniform(x: torch.Tensor, mode: int, seed: int) -> torch.Tensor | float:
    """The random numbers in [0, 1) of all positions; 0 where the mode draws none."""
    if mode < STOCHASTIC:
        return 0.0
    key, key2 = (int(k) for k in keys_of(seed))
    position = torch.arange(x.numel(), dtype=torch.int64, device=x.device).view(x.shape)
    h = (position & _WORD) ^ key ^ (((position >> 32) * 0x9E3779B9) & _WORD)
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & _WORD
    h = (h + key2) & _WORD
    h = ((h ^ (h >> 15)) * 0x846CA68B) & _WORD
    return ((h ^ (h >> 16)) >> 8).double() * 2.0**-24


def _limits(x: torch.Tensor, mode: int, seed: int):
    """The least fractions that are rounded up: four numbers, or one for every value."""
    if mode < STOCHASTIC:
        return tuple(float(limit) for limit in least_fractions(mode))
    uniform = _uniform(x, mode, seed)
    if mode == STOCHASTIC:
        above = (uniform.view(torch.int64) + 1).view(torch.float64)
        return (above,) * 4
    always, never = uniform.new_tensor([5e-324, 2.0])
    return (torch.where(uniform < 0.5, always, never),) * 4


def _limit(limits, odd: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    if isinstance(limits[0], torch.Tensor):
        return limits[0]
    table = torch.tensor(limits, dtype=torch.float64, device=odd.device)
    return table[odd.long() + 2 * negative.long()]


def _as_float(bits: torch.Tensor) -> torch.Tensor:
    return bits.view(torch.float64)


def _any_float(x: torch.Tensor, limits, mode: int, p: AnyFloat) -> torch.Tensor:
    """`steps.any_mode` of float64 values."""
    p = AnyFloat(*(number.item() for number in p))
    reach, magnitude = p.top + p.next_gap, x.abs()
    y = magnitude.clamp(max=float(np.nextafter(reach, 0)))
    least = (p.least + 1023) << 52
    exponent = (y.view(torch.int64) & _EXPONENT64).clamp(min=least)
    tiny = y < p.tiny
    shift = torch.where(tiny, 0, p.mantissa << 52)
    exponent = torch.where(tiny, least, exponent)
    scaled = y * _as_float((2046 << 52) - exponent + shift)
    scaled = torch.where((scaled == 0) & (magnitude > 0), 1e-300, scaled)
    whole = scaled.floor()
    odd = (whole - 2 * (0.5 * whole).floor()) != 0
    if p.mantissa == 0:
        odd = odd & ((((exponent >> 52) - 1022 - p.least) & 1) != 0)
    up = scaled - whole >= _limit(limits, odd, x < 0)
    y = torch.where(up, whole + 1, whole) * _as_float(exponent - shift)
    y = torch.where(y > p.top, p.top if mode == TO_ODD else p.over, y)
    over = magnitude.isinf()
    if mode == STOCHASTIC_EQUAL:
        over = over | (magnitude >= reach)
    y = torch.where(over, p.over, y)
    y = y.copysign(x) if p.signed_zero else torch.where(y == 0, 0.0, y.copysign(x))
    if p.below != 1:
        y = torch.where(x < 0, p.below, y)
    return torch.where(x.isnan(), x, y)


def _grid(x: torch.Tensor, limits, p: Grid) -> torch.Tensor:
    """`steps.on_grid` of float64 values."""
    p = Grid(*(float(number) for number in p))
    scaled = x / p.step
    scaled = torch.where(scaled == 0, x, scaled).clamp(p.low, p.high)
    magnitude = scaled.abs()
    whole = magnitude.floor()
    odd = (whole - 2 * (0.5 * whole).floor()) != 0
    up = magnitude - whole >= _limit(limits, odd, scaled < 0)
    y = torch.where(up, whole + 1, whole) * p.step
    return torch.where(x.isnan(), x, torch.where(scaled < 0, -y, y) + 0.0)


def _table(x: torch.Tensor, rounder: TableRounder, mode: int, uniform) -> torch.Tensor:
    """`steps.in_table` of float64 values."""
    values = torch.tensor(rounder.values, device=x.device)
    odd = torch.tensor(rounder.odd, device=x.device) == 1
    last = values.numel() - 1
    low = (torch.searchsorted(values, x.contiguous(), right=True) - 1).clamp(0, last - 1)
    lower, upper = values[low], values[low + 1]
    ends = lower, torch.tensor(rounder.middles, device=x.device)[low], upper
    up = _upper(x, mode, uniform, ends, (odd[low], odd[low + 1])) & (x != lower)
    y = torch.where(up, upper, lower)
    y = torch.where(x <= values[0], values[0], torch.where(x >= values[last], values[last], y))
    if rounder.limits is not None:
        y = torch.where((x <= rounder.limits[0]) | (x >= rounder.limits[1]), torch.nan, y)
    return torch.where(x.isnan(), x, y)


def _upper(x: torch.Tensor, mode: int, uniform, ends: tuple, odds: tuple) -> torch.Tensor:
    """Whether values strictly between two neighbours are rounded to the upper one."""
    (lower, middle, upper), (odd_lower, odd_upper) = ends, odds
    outward = upper.abs() > lower.abs()
    everywhere = torch.ones_like(outward)
    if mode in (UP, _DOWN, TOWARD_ZERO):
        return {UP: everywhere, _DOWN: ~everywhere, TOWARD_ZERO: ~outward}[mode]
    parities_differ = odd_lower != odd_upper
    if mode == TO_ODD:
        return torch.where(parities_differ, odd_upper, outward)
    if mode in (STOCHASTIC, STOCHASTIC_EQUAL):
        position = torch.where(upper <= 0, upper - x, x - lower) / (upper - lower)
        up = uniform < (position if mode == STOCHASTIC else 0.5)
        return up != (upper <= 0)
    tie = {
        NEAREST_AWAY: outward,
        NEAREST_ZERO: ~outward,
        NEAREST_EVEN: torch.where(parities_differ, odd_lower, ~outward),
    }[mode]
    return torch.where(x == middle, tie, x > middle)
