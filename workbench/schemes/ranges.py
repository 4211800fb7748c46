"""How a range is chosen where it is not the largest magnitude: percentile, search, min-max."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .layout import Layout

if TYPE_CHECKING:
    from ..kernels.scales import ScaleRule
    from .apply import Chosen
    from .scheme import Scheme

SEARCHED = np.linspace(1.0, 0.2, 65).astype(np.float32)  # shares of the full range that are tried


def by_percentile(scheme: Scheme, rows: np.ndarray, layout: Layout, whole: float) -> np.ndarray:
    """Scales from a percentile of each block's finite magnitudes, linearly interpolated."""
    from ..kernels.scales import scales_of

    share = scheme.scale.range.percent / 100
    reach = _quantile(np.abs(rows), layout, share)
    return scales_of(reach, scheme.rule(whole))


def _quantile(values: np.ndarray, layout: Layout, share: float) -> np.ndarray:
    """A quantile of each block's finite values, (stacks, blocks); 0 where a block has none."""
    out = np.zeros(layout.scale_shape, np.float64)
    edges = [*layout.bands, layout.rows]
    for band, (top, bottom) in enumerate(pairwise(edges)):
        for block in range(layout.across):
            part = values[top:bottom, block * layout.size : (block + 1) * layout.size]
            finite = part[np.isfinite(part)]
            out[band, block] = np.quantile(finite, share) if finite.size else 0.0
    return out


def by_unit(scheme: Scheme, rows: np.ndarray, layout: Layout, whole: float) -> np.ndarray:
    """Scales that make the mean magnitude, or the standard deviation, one unit of the format."""
    from ..kernels.scales import scales_of

    finite = np.where(np.isfinite(rows), rows, 0).astype(np.float64)
    count = _summed(np.isfinite(rows).astype(np.float64), layout)
    count = np.maximum(count, 1)
    if scheme.scale.range.kind == "absmean":
        unit = _summed(np.abs(finite), layout) / count
    else:
        mean = _summed(finite, layout) / count
        unit = np.sqrt(np.maximum(_summed(finite**2, layout) / count - mean**2, 0))
    return scales_of((unit * scheme.largest).astype(np.float32), scheme.rule(whole))


def _summed(values: np.ndarray, layout: Layout) -> np.ndarray:
    """The sum of every block, (stacks, blocks)."""
    starts = np.arange(0, layout.cols, layout.size)
    return layout.reduce(np.add.reduceat(values, starts, axis=1), np.add)


def about_mean(scheme: Scheme, rows: np.ndarray, layout: Layout):
    """Scales of what is left of every block once its mean is taken off, and the means."""
    from . import apply

    plain = replace(scheme, scale=replace(scheme.scale, mean=False))
    finite = np.isfinite(rows)
    sums = _summed(np.where(finite, rows, 0).astype(np.float64), layout)
    counts = np.maximum(_summed(finite.astype(np.float64), layout), 1)
    means = (sums / counts).astype(np.float32)
    centred = (rows - layout.spread(means)).astype(rows.dtype)
    return apply.Chosen(apply.choose_scales(plain, centred, layout).scales, means, 1.0)


def of_rows(scheme: Scheme, rows: np.ndarray) -> np.ndarray:
    """The scale that the largest finite magnitude of each row asks for, float32 (rows, 1)."""
    from ..kernels.scales import scales_of

    narrow = rows.astype(np.float32, copy=False)
    finite = np.where(np.isfinite(narrow), np.abs(narrow), np.float32(0))
    return scales_of(finite.max(axis=1, initial=0, keepdims=True), scheme.unrounded.rule())


def under_rows(scheme: Scheme, reach: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The scales of blocks of this reach, each a power of two times that of its row.

    The power is the next at or above the scale that a block asks for, or by m2ceil the next at or
    below. Blocks of zeros have the row's; no scale gets so small that it would lose bits.
    """
    from ..kernels.scales import scales_of

    free = scales_of(reach, scheme.unrounded.rule()).astype(np.float64)
    mantissa, exponent = np.frexp(np.where(reach > 0, free / whole, 1.0))
    above = scheme.scale.levels[0].rule == "m2"
    octaves = exponent - (mantissa == 0.5) if above else exponent - 1
    least = np.clip(-125 - np.frexp(whole)[1], -128, 0)
    return np.ldexp(whole, np.clip(octaves, least, 127)).astype(np.float32, copy=False)


def by_part(scheme: Scheme, rows: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Of a mixture, the scales of each block's best part, and which part that is.

    The best has the least squared error; of equals it is the first.
    """
    from . import apply

    best, choice, least = None, None, None
    for number, part in enumerate(scheme.parts):
        scales = apply.choose_scales(part, rows, layout).scales
        errors = _errors(part, rows, layout, scales, None)
        if best is None:
            best, choice, least = scales, np.zeros(scales.shape, np.float32), errors
            continue
        better = errors < least
        best = np.where(better, scales, best)
        choice[better] = number
        least = np.minimum(errors, least)
    return best, choice


def by_mse(scheme: Scheme, rows: np.ndarray, layout: Layout, whole: Any) -> np.ndarray:
    """Scales of least squared error for each block, over 65 shares of its full range.

    The full range is among them, so the error is never above that of absmax.
    """
    return searched(scheme, rows, layout, SEARCHED, whole=whole).scales


def searched(
    scheme: Scheme, rows: np.ndarray, layout: Layout, shares: np.ndarray,
    weights: np.ndarray | None = None, whole: Any = None,
) -> Chosen:  # fmt: skip
    """The scales, and zero points, whose share of each block's range has the least squared error.

    Args:
        scheme: without parts or means.
        rows: the values, (rows, cols).
        layout: where their blocks lie.
        shares: of the full range, float32; of equals the first is kept.
        weights: how much the squared error of each value counts; None for all alike.
        whole: the tensor's own scale of two levels, or those of rows, where they are known.
    """
    from . import apply

    narrowed, whole = _narrowing(scheme, rows, layout, whole)
    best, least = None, None
    for share in shares:
        tried = narrowed(share)
        errors = _errors(scheme, rows, layout, tried[0], tried[1], weights)
        if best is None:
            best, least = tried, errors
            continue
        better = errors < least
        best = tuple(
            None if new is None else np.where(better, new, old)
            for new, old in zip(tried, best, strict=True)
        )
        least = np.minimum(errors, least)
    return apply.Chosen(best[0], best[1], whole)


def _narrowing(scheme: Scheme, rows: np.ndarray, layout: Layout, whole: Any):
    """A function from a share of the ranges to scales and zero points; and the tensor's scale."""
    from . import apply

    if scheme.scale.zero_point:
        low, high = _extent(scheme, rows, layout)
        whole = _whole(scheme, high - low) if whole is None else whole
        return lambda share: affine(scheme, low * share, high * share, whole), whole
    whole = apply.whole_scale(scheme, rows) if whole is None else whole
    return lambda share: (apply.block_scales(scheme, rows, layout, whole, share), None), whole


def _errors(
    scheme: Scheme,
    rows: np.ndarray,
    layout: Layout,
    scales: np.ndarray,
    zeros: np.ndarray | None,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """The squared error of every block under given scales, (stacks, blocks) float64."""
    from ..kernels import blocks, scaled
    from . import apply

    plain = zeros is None and weights is None
    if plain and rows.dtype == np.float32 and scheme.element.rounder.has_fast_path:
        element = blocks.element_of(scheme.element.rounder)
        heights = np.diff([*layout.bands, layout.rows])
        per_row = np.repeat(scales, heights, axis=0) if layout.stack > 1 else scales
        errors = scaled.squared_errors(rows, per_row, layout.size, element)
        return layout.reduce(errors, np.add)
    spread = None if zeros is None else layout.spread(zeros)
    rounded = apply.round_scaled(scheme, rows, layout.spread(scales), spread)
    squared = np.nan_to_num((rounded.astype(np.float64) - rows) ** 2, posinf=0, neginf=0)
    return _summed(squared if weights is None else squared * weights, layout)


def asymmetric(
    scheme: Scheme, rows: np.ndarray, layout: Layout, whole: float | None = None
) -> Chosen:
    """Scales, zero points and the tensor's own scale; each block's range includes zero.

    scale = (max - min) / (codes - 1), zero point = the code of 0, rounded to even and clamped.
    """
    from . import apply

    if scheme.scale.range.kind == "mse":
        return searched(scheme, rows, layout, SEARCHED, whole=whole)
    narrowed, whole = _narrowing(scheme, rows, layout, whole)
    scales, zeros = narrowed(np.float32(1))
    return apply.Chosen(scales, zeros, whole)


def _whole(scheme: Scheme, span: np.ndarray) -> float:
    """The tensor's own scale of two levels for block ranges of these widths; 1 for one level."""
    if not scheme.scale.two_level:
        return 1.0
    stored = scheme.scale.levels[0].format
    first, last = scheme.code_range
    codes = last - first
    return float(span.max(initial=0) / np.float32(codes * stored.max)) or 1.0


def _extent(scheme: Scheme, rows: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """The ends of each block's range, zero included, as float32."""
    finite = np.where(np.isfinite(rows), rows, 0)
    if scheme.scale.range.kind == "percentile":
        share = scheme.scale.range.percent / 100
        low, high = (_quantile(rows, layout, s) for s in (1 - share, share))
    else:
        starts = np.arange(0, layout.cols, layout.size)
        low = layout.reduce(np.minimum.reduceat(finite, starts, axis=1), np.minimum)
        high = layout.reduce(np.maximum.reduceat(finite, starts, axis=1), np.maximum)
    return np.minimum(low, 0).astype(np.float32), np.maximum(high, 0).astype(np.float32)


def affine_rule(scheme: Scheme, whole: float = 1.0) -> ScaleRule:
    """The kernel's rule for the scale of a range that all codes share out."""
    first, last = scheme.code_range
    codes = np.float32(last - first)
    exponent = np.int32(np.frexp(codes)[1] - 1)
    return scheme.rule(whole)._replace(q=codes, q_exponent=exponent)


def affine(
    scheme: Scheme, low: np.ndarray, high: np.ndarray, whole: float
) -> tuple[np.ndarray, np.ndarray]:
    """Scales and zero points for ranges [low, high]."""
    from ..kernels.scales import scales_of

    first, last = scheme.code_range
    scales = scales_of(high - low, affine_rule(scheme, whole))
    zeros = np.clip(first - np.rint(low / scales), first, last)
    return scales, zeros.astype(np.float32)
