"""From a sketch and a scheme to the scheme's error: which cells, under which scales, how certain.

Every figure here is a sum of squared errors; `sketch.py` makes reports of them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..errors import WorkbenchError
from ..formats import FloatFormat, Format
from ..kernels.moments import LOWER, UPPER
from ..kernels.scales import ScaleRule, scales_of
from ..schemes import ScaleFormat, Scheme
from ..schemes.ranges import SEARCHED
from .blocks import BlockSketch
from .cells import Cells, Estimate, estimate, total_of
from .geometry import unseen
from .ladder import Ladder, ladder_between, ladder_of, whole_numbers
from .prefix import PrefixSketch

FLOAT32 = 2.0**-22  # float32 arithmetic of scales, quotients and products, relative
MOST_OPEN = 0.01  # share of the energy in blocks with clamped scales above which no answer is given


class Reading(NamedTuple):
    """How a scheme is read: cells, ladder, scale (one, or one a cell), and what it comes to.

    `wobble` is how far the true scale may be from `scale`, relative; `open` the squared error that
    may hide in blocks whose scale is clamped.
    """

    cells: Cells
    ladder: Ladder
    scale: float | np.ndarray
    sums: Estimate
    wobble: float = 0.0
    open: float = 0.0


def _plain(scheme: Scheme) -> bool:
    """Whether scales are float32 and so not rounded further."""
    return scheme.scale is None or scheme.scale.levels == (ScaleFormat(),)


def read_values(values: PrefixSketch, scheme: Scheme) -> Reading:
    """A plain cast, or a scheme with one scale for the tensor."""
    cells = values.cells
    if scheme.scale is None:
        ladder = ladder_of(scheme.format)
        return Reading(cells, ladder, 1.0, estimate(cells.errors(ladder, 1.0)))
    if scheme.parts or scheme.scale.mean:
        raise unseen(scheme)
    if scheme.scale.zero_point:
        return _read_zero_point(values, scheme)
    if scheme.scale.range.kind == "mse":
        return _read_search(values, scheme)
    reach, low, high = values.amax, values.amax, values.amax
    if scheme.scale.range.kind in values.unit:
        reach = values.unit[scheme.scale.range.kind] * scheme.largest
        low, high = reach * (1 - FLOAT32), reach * (1 + FLOAT32)
    if scheme.scale.range.kind == "percentile":
        reach, low, high = values.quantile((scheme.scale.range.percent or 100) / 100)
    middle, *ends = _scales(scheme, reach, low, high)
    wobble = max(abs(end / middle - 1) for end in ends)
    ladder = ladder_of(scheme.element)
    errors, plain = cells.errors(ladder, middle), None
    if not _plain(scheme):
        unrounded = max(np.float32(reach / scheme.largest), np.float32(1e-45))
        plain = total_of(cells.errors(ladder, float(unrounded)))
    return Reading(cells, ladder, middle, estimate(errors, plain), wobble)


def _scales(scheme: Scheme, *reaches: float) -> list[float]:
    """The scale for each largest magnitude."""
    return [float(s) for s in scales_of(np.asarray(reaches, np.float32), scheme.rule())]


def _read_search(values: PrefixSketch, scheme: Scheme) -> Reading:
    """The scale of least error, among the shares of the range that schemes try.

    The least of the lower bounds and the least of the upper bounds hold the true least error.
    """
    cells, ladder = values.cells, ladder_of(scheme.element)
    reaches = np.float32(values.amax) * SEARCHED
    results = [cells.errors(ladder, scale) for scale in _scales(scheme, *reaches)]
    totals = [errors[:, :3].sum() for errors in results]
    best = int(np.argmin(totals))
    lower = min(float(errors[:, LOWER].sum()) for errors in results)
    upper = min(float(errors[:, UPPER].sum()) for errors in results)
    plain = None
    if not _plain(scheme):
        exact = float(reaches[best] / np.float32(scheme.largest))
        plain = total_of(cells.errors(ladder, exact))
    sums = estimate(results[best], plain)._replace(lower=lower, upper=upper)
    return Reading(cells, ladder, _scales(scheme, reaches[best])[0], sums)


def _read_zero_point(values: PrefixSketch, scheme: Scheme) -> Reading:
    """One scale and one zero point for the tensor, from its smallest and largest value."""
    assert scheme.scale is not None
    if scheme.scale.range.kind != "absmax":
        raise WorkbenchError(
            str(scheme),
            f"a sketch does not search a range with a zero point by {scheme.scale.range.kind}",
            "use wb.metrics.error(x, scheme), which is exact",
        )
    from ..schemes.ranges import affine

    low = np.full((1, 1), min(values.low, 0.0) if values.n else 0.0, np.float32)
    high = np.full((1, 1), max(values.high, 0.0) if values.n else 0.0, np.float32)
    scales, zeros = affine(scheme, low, high, 1.0)
    first, last = scheme.code_range
    whole = np.arange(first, last + 1) - float(zeros[0, 0])
    ladder = ladder_between(whole, whole[0] - 0.5, whole[-1] + 0.5)
    errors, plain = values.cells.errors(ladder, float(scales[0, 0])), None
    if not _plain(scheme):
        unrounded = float((high - low)[0, 0]) / (last - first) or 1.0
        plain = total_of(values.cells.errors(ladder, unrounded))
    return Reading(values.cells, ladder, float(scales[0, 0]), estimate(errors, plain))


def read_blocks(values: PrefixSketch, blocks: BlockSketch, scheme: Scheme) -> Reading:
    """A scheme whose blocks the sketch holds."""
    if blocks.geometry.unit in ("amax", "span"):
        return _read_float_scales(blocks, scheme)
    return _read_classes(values, blocks, scheme)


def _read_float_scales(blocks: BlockSketch, scheme: Scheme) -> Reading:
    """Scales proportional to the block's unit, but for their own rounding to 16 bits."""
    assert scheme.scale is not None
    if blocks.geometry.unit == "span":
        first, last = scheme.code_range
        ladder, steps = whole_numbers(last - first), float(last - first)
    else:
        ladder, steps = ladder_of(scheme.element), scheme.largest
    errors = blocks.cells.errors(ladder, 1 / steps)
    sums = estimate(errors)
    stored = scheme.scale.levels[0].format
    if not isinstance(stored, FloatFormat):
        return Reading(blocks.cells, ladder, 1 / steps, sums)
    half_step = 2.0 ** -(stored.mantissa + 1)
    added = blocks.cells.energy * half_step * half_step / 6  # relative steps are 1/2 to 1, uniform
    least = stored.least_exponent + int(np.ceil(np.log2(steps)))
    reach = np.arange(256) - 127
    outside = (reach < least) | (reach > stored.max_exponent + int(np.log2(steps)) - 1)
    edge = blocks.energy_where(outside)
    return Reading(blocks.cells, ladder, 1 / steps, sums._replace(scale=added), half_step, edge)


def _read_classes(values: PrefixSketch, blocks: BlockSketch, scheme: Scheme) -> Reading:
    """Scales that are one number for all blocks of a class, in units of their power of two."""
    assert scheme.scale is not None
    whole, exponent, outside = _class_frame(values, scheme)
    rule = scheme.rule(whole)
    first, last = (
        scales_of(np.ldexp(end, exponent).astype(np.float32), rule) / np.float32(2.0**exponent)
        for end in blocks.class_ends
    )
    ladder, kind = ladder_of(scheme.element), blocks.places[0]
    first, last = first.astype(np.float64), last.astype(np.float64)
    cells, scale, places = blocks.merged(first, first == last)
    errors, open_ = cells.errors(ladder, scale), places < 0
    if open_.any():
        part = blocks.cells.taken(open_)
        share = _share_of_first(blocks, first, last, exponent, rule)[kind[open_]]
        mixed = _mixed(part, ladder, first[kind[open_]], last[kind[open_]], share)
        places[open_] = cells.low.size + np.arange(part.low.size)
        cells, errors = cells.joined(part), np.concatenate([errors, mixed])
        usual = np.where(share >= 0.5, first[kind[open_]], last[kind[open_]])
        scale = np.concatenate([scale, usual])
    sums = estimate(errors, _unrounded(blocks, scheme), places)
    return Reading(cells, ladder, scale, sums, 0.0, blocks.energy_where(outside))


def _class_frame(values: PrefixSketch, scheme: Scheme) -> tuple[float, int, np.ndarray]:
    """The tensor's own scale, an exponent that clamps no scale, and those that may."""
    assert scheme.scale is not None
    level = scheme.scale.levels[0]
    reach = np.arange(256) - 127
    tall = int(np.frexp(scheme.largest)[1] - 1)
    if level.is_power:
        rule = scheme.rule()
        return 1.0, 0, (reach - tall < int(rule.low)) | (reach - tall + 1 > int(rule.high))
    stored = level.format
    assert isinstance(stored, FloatFormat)
    whole = 1.0
    if scheme.scale.two_level:
        whole = float(np.float32(values.amax) / np.float32(scheme.largest * stored.max)) or 1.0
    middle = int(np.floor(np.log2(whole * scheme.largest))) + 1
    least = middle + stored.least_exponent + 1
    most = middle + stored.max_exponent - (0 if scheme.scale.two_level else 3)
    return whole, middle, (reach < least) | (reach > most + 1)


def _mixed(
    part: Cells, ladder: Ladder, one: np.ndarray, other: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """Errors of cells whose class has two scales: `share` of it the first, bounded by either.

    On one bin the two squared errors differ by no more than they do where its rounding changes; any
    part of the weight may lie on either side.
    """
    before, after = part.errors(ladder, one), part.errors(ladder, other)
    spread = part.moments[:, 0] * _largest_difference(part, ladder, one, other)
    mixed = share[:, None] * before + (1 - share[:, None]) * after
    low, high = (np.stack([before[:, c], after[:, c]]) for c in (LOWER, UPPER))
    mixed[:, LOWER] = np.maximum(0, (low - spread).max(axis=0))
    mixed[:, UPPER] = (high + spread).min(axis=0)
    return mixed


def _largest_difference(
    part: Cells, ladder: Ladder, one: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """The largest difference of one value's squared errors under two scales, for each bin.

    Both are piecewise smooth with kinks at their thresholds only and their difference is linear
    between kinks, so the ends of all pieces are where it is largest.
    """
    most = np.zeros(part.low.size)
    for scale in (one, other):
        pieces = part.pieces(ladder, scale)
        cell = pieces[:, 0].astype(np.int64)
        for end in (pieces[:, 1], pieces[:, 2]):
            errors = [_nearest(ladder, end, part.side[cell], s[cell]) for s in (one, other)]
            np.maximum.at(most, cell, np.abs(errors[0] - errors[1]))
    return most


def _nearest(ladder: Ladder, x: np.ndarray, side: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The squared distance of magnitudes to the nearest value."""
    u = x / scale
    up = ladder.values[np.searchsorted(ladder.thresholds, u)]
    down = ladder.negative_values[np.searchsorted(ladder.negative_thresholds, u)]
    return (x - np.where(side == 0, up, down) * scale) ** 2


def _share_of_first(
    blocks: BlockSketch, first: np.ndarray, last: np.ndarray, exponent: int, rule: ScaleRule
) -> np.ndarray:
    """The part of each class, by logarithm, whose scale is that of its beginning."""
    mixed = np.flatnonzero(first != last)
    low, high = (end[mixed] for end in blocks.class_ends)
    places = (np.arange(16) + 0.5) / 16
    inner = low[:, None] * (high / low)[:, None] ** places
    scales = scales_of(np.ldexp(inner, exponent).astype(np.float32), rule)
    share = np.ones(first.size)
    share[mixed] = (scales / np.float32(2.0**exponent) == first[mixed, None]).mean(axis=1)
    return share


def _unrounded(blocks: BlockSketch, scheme: Scheme) -> np.ndarray:
    """Each cell's squared error, had its blocks unrounded scales: an estimate."""
    return _unrounded_of(blocks, scheme.element, scheme.largest)


@lru_cache(maxsize=32)
def _unrounded_of(blocks: BlockSketch, element: Format, largest: float) -> np.ndarray:
    """The same, for scales that bring each block's largest magnitude to `largest`.

    That value itself would have no error. The others are taken at two places of what their blocks'
    largest magnitude can be: within the class, and above them.
    """
    kind, cells = blocks.places[0], blocks.cells
    low, high = (end[kind] for end in blocks.class_ends)
    least = np.minimum(np.maximum(low, cells.low + 0.5 * cells.width), high)
    total = np.zeros(kind.size)
    for place in (0.25, 0.75):
        scale = least ** (1 - place) * high**place / largest
        total += 0.5 * total_of(cells.errors(ladder_of(element), scale))
    return np.where(blocks.top, 0.0, total)
