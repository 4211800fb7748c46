"""Schemes on another device through torch operations: the step-by-step definition, same bits.

Ranges by absmax are taken on the device; searches, means and mixtures take theirs on the host,
which moves the values there and only the scales back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..formats.base import rounding_number
from ..kernels import device as kernels
from ..kernels.casts import GridRounder
from ..kernels.scales import CEIL, EVEN, EXACT, POWER_OF_TWO, RCEIL, ScaleRule
from ..kernels.steps import Grid
from .layout import Layout

if TYPE_CHECKING:
    from .scheme import Scheme


def round(
    scheme: Scheme, x: torch.Tensor, axis: int, out: Any, rounding: str, seed: int
) -> torch.Tensor:
    """Quantize and dequantize a tensor on its device; see `Scheme.round`.

    Example:
        >>> import workbench as wb
        >>> round(wb.scheme("mxfp4"), torch.tensor([1.0, 5.0, 7.0]), -1, None, "nearest_even", 0)
        tensor([1., 4., 6.])
    """
    values = kernels.as_values(x)
    layout = Layout.of(tuple(x.shape), axis, scheme.scale)
    if values.numel() == 0:
        return kernels.deliver(values.clone(), out)
    moved = values.movedim(layout.axis, -1) if values.ndim else values
    rows = moved.reshape(layout.rows, layout.cols).contiguous()
    scales, zeros = _choose(scheme, rows, layout)
    y = _round_scaled(scheme, rows, _spread(scales, layout), zeros, rounding, seed)
    y = y.reshape(moved.shape)
    return kernels.deliver((y.movedim(-1, layout.axis) if values.ndim else y).contiguous(), out)


def _choose(scheme: Scheme, rows: torch.Tensor, layout: Layout):
    """Scales of layout.scale_shape, and zero points spread over the rows, or None."""
    late = scheme.scale.row_ratios or (scheme.scale.zero_point and scheme.scale.two_level)
    if scheme.scale.range.kind != "absmax" or late or scheme.parts or scheme.scale.mean:
        return _choose_on_host(scheme, rows, layout)
    if scheme.scale.zero_point:
        return _affine(scheme, rows, layout)
    amax = _per_block(rows.float().abs(), layout)
    finite = torch.where(rows.isfinite(), rows.float(), 0.0).abs()
    rule = scheme.rule(_whole_scale(scheme, finite))
    if not rule.poison:
        amax = _per_block(finite, layout)
    return scales_of(amax, rule), None


def _choose_on_host(scheme: Scheme, rows: torch.Tensor, layout: Layout):
    from .apply import choose_scales

    scales, zeros, _ = choose_scales(scheme, rows.cpu().numpy(), layout)
    scales = torch.from_numpy(np.ascontiguousarray(scales)).to(rows.device)
    if zeros is None:
        return scales, None
    return scales, _spread(torch.from_numpy(np.ascontiguousarray(zeros)).to(rows.device), layout)


def _whole_scale(scheme: Scheme, finite: torch.Tensor) -> float:
    """The tensor's own scale of two levels, from finite magnitudes; 1 where there is one level."""
    if not scheme.scale.two_level:
        return 1.0
    stored = scheme.scale.levels[0].format
    whole = np.float32(finite.max().item()) / np.float32(scheme.largest * stored.max)
    return float(whole) if whole > 0 else 1.0


def _per_block(values: torch.Tensor, layout: Layout) -> torch.Tensor:
    """The largest of each block's values, which are 0 or more, NaN on top: layout.scale_shape."""
    tail = layout.across * layout.size - layout.cols
    padded = torch.nn.functional.pad(values, (0, tail))
    found = padded.view(layout.rows, layout.across, layout.size).amax(2)
    if layout.stack == 1:
        return found
    height = [n for i, n in enumerate(layout.shape) if i != layout.axis][-1]
    found = found.view(-1, height, layout.across)
    found = torch.nn.functional.pad(found, (0, 0, 0, -height % layout.stack))
    return found.view(-1, layout.stack, layout.across).amax(1)


def _spread(per_scale: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Figures of layout.scale_shape, one for every value of the rows."""
    if layout.stack > 1:
        heights = torch.from_numpy(np.diff([*layout.bands, layout.rows])).to(per_scale.device)
        per_scale = per_scale.repeat_interleave(heights, dim=0)
    return per_scale.repeat_interleave(layout.size, dim=1)[:, : layout.cols]


def scales_of(amax: torch.Tensor, p: ScaleRule) -> torch.Tensor:
    """The float32 scale of every amax; infinite or NaN gives NaN. See `kernels.scales.scales_of`.

    Example:
        >>> import workbench as wb
        >>> scales_of(torch.tensor([6.0, 0.5]), wb.scheme("mxfp4").rule())
        tensor([1.0000, 0.1250])
    """
    if p.kind == POWER_OF_TWO:
        scales = _powers_of_two(amax, p)
    elif p.kind == EXACT:
        scales = (amax / p.q.item()).clamp(min=float(np.float32(1e-45)))
        scales = torch.where(amax == 0, 1.0, scales)
    else:
        whole = torch.tensor(p.whole.item(), dtype=torch.float32, device=amax.device)
        scales = kernels.fast_float((amax / p.q.item()) / whole, p.format)
        scales = scales.clamp(min=p.smallest.item()) * whole
    return torch.where(amax.isfinite(), scales, torch.nan)


def _powers_of_two(amax: torch.Tensor, p: ScaleRule) -> torch.Tensor:
    ratio = amax / p.q.item() if p.rule == RCEIL else amax
    small = ratio < 2.0**-126
    bits = torch.where(small, ratio * 2.0**24, ratio).view(torch.int32).long()
    added = {RCEIL: 0x7FFFFF, CEIL: 0x7FFFFF, EVEN: int(p.even_bit)}.get(int(p.rule), 0)
    exponent = ((bits + added) >> 23) - torch.where(small, 151, 127)
    exponent = exponent - (0 if p.rule == RCEIL else int(p.q_exponent))
    exponent = exponent.clamp(int(p.low), int(p.high))
    return torch.ldexp(torch.ones_like(amax, dtype=torch.float64), exponent).float()


def _affine(scheme: Scheme, rows: torch.Tensor, layout: Layout):
    """Scales, and zero points spread over the rows, of ranges that include zero."""
    from .ranges import affine_rule

    finite = torch.where(rows.isfinite(), rows, 0.0).float()
    high = _per_block(finite.clamp(min=0.0), layout)
    low = -_per_block((-finite).clamp(min=0.0), layout)
    first, last = scheme.code_range
    scales = scales_of(high - low, affine_rule(scheme))
    zeros = (first - (low / scales).round()).clamp(first, last)
    return scales, _spread(zeros, layout)


def _round_scaled(scheme, rows, scales, zeros, rounding: str, seed: int) -> torch.Tensor:
    """`apply.round_scaled` on the device."""
    if scheme.scale.mean:
        plain = replace(scheme, scale=replace(scheme.scale, mean=False))
        return _round_scaled(plain, rows - zeros, scales, None, rounding, seed) + zeros
    mode, scaled = rounding_number(rounding), rows / scales
    if scheme.parts:
        parts = [_round_scaled(p, rows, scales, None, rounding, seed) for p in scheme.parts]
        chosen = zeros.expand_as(rows).to(torch.int64)
        return torch.stack(parts).gather(0, chosen[None])[0]
    if zeros is None:
        return kernels.round_elements(scaled, scheme.element.rounder, mode, seed) * scales
    wide = GridRounder(Grid(np.float64(1), np.float64(-(2**24)), np.float64(2**24)))
    whole = kernels.round_elements(scaled, wide, mode, seed) + zeros
    return (whole.clamp(*scheme.code_range) - zeros) * scales
