"""Rounding arrays under a scheme: the fused kernels where they serve, else step by step.

The step-by-step path (scales, divide, round, multiply) is the definition; the fused kernels give
the same bits. Every scale here is a float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..kernels import arrays
from .layout import Layout

if TYPE_CHECKING:
    from .scheme import Scheme


LARGE = 1 << 16  # blocks above this many values are shared out between threads


def round_into(
    scheme: Scheme, x: np.ndarray, out: np.ndarray, axis: int, rounding: str, seed: int
) -> None:
    """Write `x` rounded under a scaled scheme to `out` (which may be `x`)."""
    layout = Layout.of(x.shape, axis, scheme.scale)
    if x.size == 0:
        return
    if _fused(scheme, x, layout, rounding):
        _round_fused(scheme, x, out, layout)
        return
    rows = layout.to_rows(x)
    scales, zeros, _ = choose_scales(scheme, rows, layout)
    spread = None if zeros is None else layout.spread(zeros)
    rounded = round_scaled(scheme, rows, layout.spread(scales), spread, rounding, seed)
    out[...] = layout.from_rows(rounded)


def _fused(scheme: Scheme, x: np.ndarray, layout: Layout, rounding: str) -> bool:
    """Whether the fused kernels serve: float32 to nearest-even, absmax, no tiles.

    Two levels with a zero point are left out, since the tensor's scale needs all ranges first.
    """
    if scheme.parts or scheme.scale.mean:
        return False
    plain = scheme.scale.range.kind == "absmax" and layout.stack == 1
    simple = rounding == "nearest_even" and x.dtype == np.float32
    levels = not (scheme.scale.zero_point and scheme.scale.two_level)
    return plain and simple and levels and scheme.element.rounder.has_fast_path


def _round_fused(scheme: Scheme, x: np.ndarray, out: np.ndarray, layout: Layout) -> None:
    """Round by the fused kernels on rows of the array itself where its strides allow."""
    last = layout.axis == x.ndim - 1 or x.ndim == 0
    apart = arrays.same_memory(x, out) or not np.may_share_memory(x, out)
    direct = last and x.flags.c_contiguous and out.flags.c_contiguous and apart
    if direct:
        rows = x.reshape(layout.rows, layout.cols)
        target = out.reshape(layout.rows, layout.cols)
    else:
        rows = layout.to_rows(x)
        target = np.empty_like(rows)
    _round_rows(scheme, rows, target, layout)
    if not direct:
        out[...] = layout.from_rows(target)


def _round_rows(scheme: Scheme, rows: np.ndarray, target: np.ndarray, layout: Layout) -> None:
    """Write rounded rows to `target`: one pass for blocks, two where more has to be known first."""
    from ..kernels import affine, blocks, scaled
    from .ranges import affine_rule

    if scheme.scale.zero_point:
        affine.round_affine(rows, target, layout.size, affine_rule(scheme), *scheme.code_range)
        return
    element = blocks.element_of(scheme.element.rounder)
    whole = whole_scale(scheme, rows)
    if layout.size > LARGE or scheme.scale.row_ratios:
        scales = block_scales(scheme, rows, layout, whole)
        scaled.round_given(rows, target, scales, layout.size, element)
    else:
        blocks.round_blocks(rows, target, layout.size, scheme.rule(whole), element)


def whole_scale(scheme: Scheme, rows: np.ndarray) -> Any:
    """The tensor's own float32 scale of a two-level scheme; 1 where there is one level.

    It brings the largest block's scale to the largest value of the block scale's format, as in
    NVFP4: amax / (6 * 448). Where blocks are tied to their row, the scale of each row, (rows, 1).
    """
    if scheme.scale.row_ratios:
        from . import ranges

        return ranges.of_rows(scheme, rows)
    if not scheme.scale.two_level:
        return 1.0
    amax = np.float32(amax_of(rows))
    stored = scheme.scale.levels[0].format
    whole = np.float32(amax / np.float32(scheme.largest * stored.max))
    return float(whole) if whole > 0 else 1.0


def amax_of(rows: np.ndarray) -> float:
    """The largest finite magnitude of a 2-D array; 0 where there is none."""
    from ..kernels.blocks import block_amax

    narrow = np.ascontiguousarray(rows, np.float32)
    most = block_amax(narrow.reshape(-1, narrow.size), 1 << 16) if narrow.size else np.zeros(1)
    if np.isfinite(most).all():
        return float(most.max(initial=0))
    return float(np.abs(narrow[np.isfinite(narrow)]).max(initial=0))


def block_scales(
    scheme: Scheme, rows: np.ndarray, layout: Layout, whole: Any = 1.0, shrink: float = 1.0
) -> np.ndarray:
    """The float32 scale of every block from its amax times `shrink`, of layout.scale_shape."""
    from ..kernels.blocks import block_amax
    from ..kernels.scales import scales_of
    from . import ranges

    narrow = rows.astype(np.float32, copy=False)
    amax = layout.reduce(block_amax(narrow, layout.size), np.maximum)
    special = ~np.isfinite(amax)
    if special.any() and scheme.scale.levels[0].name != "e8m0":  # whose NaN takes its block along
        finite = np.where(np.isfinite(narrow), narrow, np.float32(0))
        amax = layout.reduce(block_amax(finite, layout.size), np.maximum)
    reach = amax * np.float32(shrink)
    if scheme.scale.row_ratios:
        return ranges.under_rows(scheme, reach, whole)
    return scales_of(reach, scheme.rule(whole))


class Chosen(NamedTuple):
    """Scales and zero points of layout.scale_shape, float32, and the tensor's own scale.

    Zero points are whole numbers in the format's codes, or None. In their place stand the means
    that are taken off, or which of a mixture's parts each block chose. `whole` is 1 but for two
    levels, or the scale of each row, (rows, 1), where blocks are tied to it.
    """

    scales: np.ndarray
    zeros: np.ndarray | None
    whole: Any


def choose_scales(scheme: Scheme, rows: np.ndarray, layout: Layout, whole: Any = None) -> Chosen:
    """The scales, and zero points where the scheme has them, of a (rows, cols) array.

    `whole` is the tensor's own scale of two levels, or those of rows, where they are known already.
    """
    from . import ranges

    if scheme.scale.mean:
        return ranges.about_mean(scheme, rows, layout)
    if scheme.parts:
        return Chosen(*ranges.by_part(scheme, rows, layout), 1.0)
    if scheme.scale.zero_point:
        return ranges.asymmetric(scheme, rows, layout, whole)
    whole = whole_scale(scheme, rows) if whole is None else whole
    search = {
        "absmax": block_scales, "percentile": ranges.by_percentile, "mse": ranges.by_mse,
        "absmean": ranges.by_unit, "std": ranges.by_unit,
    }  # fmt: skip
    return Chosen(search[scheme.scale.range.kind](scheme, rows, layout, whole), None, whole)


def round_scaled(
    scheme: Scheme,
    rows: np.ndarray,
    scales: np.ndarray,
    zeros: np.ndarray | None,
    rounding: str = "nearest_even",
    seed: int = 0,
) -> np.ndarray:
    """Rows rounded with given scales (and zero points), one for every value: the definition."""
    rounded = scaled_values(scheme, rows, scales, zeros, rounding, seed)
    return restore(scheme, rounded, scales, zeros)


def scaled_values(
    scheme: Scheme,
    rows: np.ndarray,
    scales: np.ndarray,
    zeros: np.ndarray | None,
    rounding: str = "nearest_even",
    seed: int = 0,
) -> np.ndarray:
    """The format's values that rows are rounded to once divided by their scales."""
    if scheme.parts:
        return _of_parts(scheme, rows, scales, zeros, rounding, seed)
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = (rows - zeros if scheme.scale.mean else rows) / scales
    if zeros is None or scheme.scale.mean:
        return scheme.element.round(scaled, rounding, seed, out=scaled)
    whole = _integers(scaled, rounding, seed) + zeros  # rounded first, shifted after
    return np.clip(whole, *scheme.code_range)


def _of_parts(scheme: Scheme, rows, scales, choice, rounding: str, seed: int) -> np.ndarray:
    """A mixture's values: every block by the part that it chose."""
    out = np.empty_like(rows)
    choice = np.broadcast_to(choice, rows.shape)
    for number, part in enumerate(scheme.parts):
        mine = choice == number
        out[mine] = scaled_values(part, rows, scales, None, rounding, seed)[mine]
    return out


def offsets(scheme: Scheme, scales: np.ndarray, zeros: np.ndarray | None) -> Any:
    """How far the format's values lie beyond value / scale: zero points, or means in codes."""
    if zeros is None or scheme.parts:
        return 0.0
    return -zeros / scales if scheme.scale.mean else zeros


def _integers(x: np.ndarray, rounding: str, seed: int) -> np.ndarray:
    """Values rounded to integers of any size by any mode."""
    from ..formats.base import rounding_number
    from ..kernels.casts import GridRounder
    from ..kernels.steps import Grid

    wide = GridRounder(Grid(np.float64(1), np.float64(-(2**24)), np.float64(2**24)))
    arrays.write_through(x, x, lambda a, b: wide.round(a, b, rounding_number(rounding), seed))
    return x


def restore(
    scheme: Scheme, rounded: np.ndarray, scales: np.ndarray, zeros: np.ndarray | None
) -> np.ndarray:
    """The format's values back at the data's scale."""
    with np.errstate(invalid="ignore", over="ignore"):
        if zeros is None or scheme.parts:
            return rounded * scales
        return rounded * scales + zeros if scheme.scale.mean else (rounded - zeros) * scales
