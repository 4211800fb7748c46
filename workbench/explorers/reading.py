"""What the views need, read from a tensor's sketch at a slider's speed.

A scheme with one scale for the tensor is read off the values' bins, with every number they hold; a
scheme with many scales takes its figures from the block sketch and the places of its errors from
a sample, until the exact ones come.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..schemes.report import decibels
from ..sketches.cells import estimate
from ..sketches.geometry import geometry_of
from ..sketches.profile import ErrorProfile, profile_of
from ..sketches.reading import FLOAT32, Reading, read_blocks, read_values
from ..views.channel_fan import COVERAGES, Fan
from ..views.error_field import CAUSES, STEP_BINS, STEP_EDGES, ErrorField
from ..views.summaries import Histogram, grid_of
from . import measure
from .measure import MOVED, ONE_SCALE, PLAIN, Measured
from .sources import Source

SAMPLE = 1 << 14


@lru_cache(maxsize=16)
def histogram(source: Source) -> Histogram:
    """The histogram of a tensor's values."""
    sketch = source.sketch
    special = sketch.values
    low, high, counts = sketch.bins()
    infinite = special.n_pos_inf + special.n_neg_inf
    return Histogram(low, high, counts, nan=special.n_nan, infinite=infinite)


@lru_cache(maxsize=16)
def fan(source: Source) -> Fan:
    """The quantiles of a tensor's channels."""
    return fan_of(source.sketch.channels)


def fan_of(channels: Any) -> Fan:
    """The quantiles of channels, from a `ChannelHistogram`."""
    last = max(int(channels.counts.sum(1).max(initial=0)) - 1, 1)
    outside = np.array([(1 - coverage) / 2 for coverage in COVERAGES])
    # Whole order statistics, the outer ones on both sides, so that a ribbon holds its share.
    shares = np.floor(outside * last) / last
    return Fan(channels.quantiles(shares), channels.quantiles(1 - shares + 1e-12))


@lru_cache(maxsize=64)
def channel_histogram(source: Source, channel: int) -> Histogram:
    """The histogram of one channel's values."""
    channels = source.sketch.channels
    base = (channels.keys & 0x7FF).astype(np.uint32)
    ends = (np.stack([base, base + 1]) << 20).astype(np.uint32).view(np.float32).astype(float)
    negative = channels.keys >= 0x800
    low, high = np.where(negative, -ends[::-1], ends)
    used = np.flatnonzero(channels.counts[channel])
    order = used[np.argsort(low[used], kind="stable")]
    limits = float(channels.low[channel]), float(channels.high[channel])
    low, high = np.clip(low[order], *limits), np.clip(high[order], *limits)
    return Histogram(low, high, channels.counts[channel][order])


def measured(source: Source, scheme: Any, rounding: str, shift: float) -> Measured:
    """The errors and the grid of a scheme, from the sketch and, for many scales, a sample."""
    edges = measure.value_edges(histogram(source))
    usual = rounding == "nearest_even"
    if _one_scale(scheme):
        reading = _values_reading(source, scheme)
        if usual:
            return _of_values(source, scheme, reading, edges, shift)
        note = _note(scheme, shift)
        scale = float(_scale(reading, shift))
        return measure.of_histogram(scheme, histogram(source), edges, scale, rounding, note)
    reading = _blocks_reading(source, scheme) if usual else None
    if not source.quick:
        known = reading is not None
        return _of_blocks(source, scheme, reading, shift) if known else _pending(source, scheme)
    sample = _sample(source)
    whole = "exact" if sample.size == source.count else "sample"

    def errors() -> ErrorField:
        one = measure.exact(scheme, sample, edges, rounding, shift, whole)
        assert one is not None
        known = reading is not None and whole == "sample"
        return _with_figures(one.field, source, _shifted(reading, shift)) if known else one.field

    return Measured(measure.counted(scheme, sample, rounding, shift), errors)


def _one_scale(scheme: Any) -> bool:
    """Whether one scale and no zero point serve the whole tensor."""
    scale = scheme.scale
    return scale is None or (scale.granularity == "tensor" and not scale.zero_point)


def _note(scheme: Any, shift: float) -> str:
    return ONE_SCALE if scheme.scale is not None else MOVED if shift else PLAIN


def _scale(reading: Reading, shift: float) -> np.ndarray:
    """The scales of a reading times 2**shift."""
    return np.asarray(reading.scale) * 2.0**shift


def _shifted(reading: Reading, shift: float) -> Reading:
    """The reading of all scales times 2**shift."""
    if not shift:
        return reading
    scale = _scale(reading, shift)
    sums = estimate(reading.cells.errors(reading.ladder, scale))
    return reading._replace(scale=scale, sums=sums)


@lru_cache(maxsize=8)
def _sample(source: Source) -> np.ndarray:
    return measure.sample(source.array, SAMPLE)


@lru_cache(maxsize=32)
def _values_reading(source: Source, scheme: Any) -> Reading:
    return read_values(source.sketch.values, scheme)


@lru_cache(maxsize=32)
def _blocks_reading(source: Source, scheme: Any) -> Reading | None:
    """The reading of a scheme with many scales; None where no sketch can answer for it."""
    try:
        geometry = geometry_of(scheme)
        sketch = source.sketch_with(geometry)
        reading = read_blocks(sketch.values, sketch.blocks[str(geometry)], scheme)
    except WorkbenchError:
        return None
    return None if reading.open else reading


def _of_values(
    source: Source, scheme: Any, reading: Reading, edges: np.ndarray, shift: float
) -> Measured:
    """One scale for the tensor: every bin's errors are known, piece by piece."""
    scale = _scale(reading, shift)

    def errors() -> ErrorField:
        moved = _shifted(reading, shift)
        field = _field(scheme, profile_of(moved, "x", source.sketch.n), edges, source.sketch.n)
        return _with_figures(field, source, moved)

    grid = grid_of(
        scheme.element, float(scale.reshape(-1)[0]), scheme.name,
        scheme.family, _note(scheme, shift),
    )  # fmt: skip
    return Measured(replace(grid, counts=_codes(reading, scale, scheme)), errors)


def _of_blocks(source: Source, scheme: Any, reading: Reading, shift: float) -> Measured:
    """Many scales and no values at hand: errors in local steps, but not over the values."""
    reach, scale = max(source.sketch.amax, 1e-30), _scale(reading, shift)

    def errors() -> ErrorField:
        moved = _shifted(reading, shift)
        profile = profile_of(moved, "block", source.sketch.n)
        field = _field(scheme, profile, np.array([-reach, reach]), source.sketch.n)
        return _with_figures(field, source, moved)

    grid = grid_of(
        scheme.element, reach / scheme.largest, scheme.name, scheme.family,
        "at the scale of the block of the largest value",
    )  # fmt: skip
    return Measured(replace(grid, counts=_codes(reading, scale, scheme)), errors)


def _pending(source: Source, scheme: Any) -> Measured:
    """Neither a sketch that can answer nor values at hand: nothing, until the exact ones come."""
    reach = max(source.sketch.amax, 1e-30)
    field = ErrorField(
        label=scheme.name, family=scheme.family, edges=np.array([-reach, reach]),
        counts=np.zeros((3, 1, STEP_BINS)), squares=np.zeros((3, 1)), energy=np.zeros(1),
        causes={}, mse=math.nan, sqnr=math.nan, max_error=math.nan, bound=None,
        provenance="pending",
    )  # fmt: skip
    scale = reach / scheme.largest if scheme.scale is not None else 1.0
    grid = grid_of(scheme.element, scale, scheme.name, scheme.family, "at the largest scale")
    return Measured(replace(grid, counts=np.full(grid.values.size, np.nan)), lambda: field)


def _field(scheme: Any, profile: ErrorProfile, edges: np.ndarray, n: int) -> ErrorField:
    """An error field from the pieces of a profile; values in the unit of `edges`."""
    bins = edges.size - 1
    middle = 0.5 * (profile.low + profile.high)
    place = np.clip(np.searchsorted(edges, middle, side="right") - 1, 0, bins - 1)
    at = profile.cause * bins + place
    inside = _spread(profile)
    flat = (at[:, None] * STEP_BINS + np.arange(STEP_BINS)).ravel()
    counts = np.bincount(flat, inside.ravel(), 3 * bins * STEP_BINS)
    return ErrorField(
        label=scheme.name,
        family=scheme.family,
        edges=edges,
        counts=counts.reshape(3, bins, STEP_BINS),
        squares=np.bincount(at, profile.squared * n, 3 * bins).reshape(3, bins),
        energy=np.bincount(place, profile.count * middle**2, bins),
        causes={},
        mse=0.0,
        sqnr=math.inf,
        max_error=0.0,
        provenance="sketch",
    )


def _spread(profile: ErrorProfile) -> np.ndarray:
    """How many values of each piece have an error in each step bin, (pieces, STEP_BINS)."""
    first = (profile.becomes - profile.high) / profile.step
    last = (profile.becomes - profile.low) / profile.step
    width = np.maximum(last - first, 1e-12)
    below = (STEP_EDGES[None, 1:-1] - first[:, None]) / width[:, None]
    below = np.clip(np.nan_to_num(below, nan=0.5), 0, 1)
    ends = np.zeros((first.size, 1)), np.ones((first.size, 1))
    return np.diff(np.concatenate([ends[0], below, ends[1]], axis=1)) * profile.count[:, None]


def _with_figures(field: ErrorField, source: Source, reading: Reading) -> ErrorField:
    """The field with the figures of the whole tensor that a reading comes to."""
    values, sums = source.sketch.values, reading.sums
    n, energy = max(1, values.n), values.energy
    total = max(0.0, sums.total)
    causes = (sums.rounding, sums.clipping, sums.underflow, sums.scale)
    return replace(
        field,
        causes=dict(zip((*CAUSES, "scale"), (cause / n for cause in causes), strict=True)),
        mse=total / n,
        sqnr=decibels(energy, total),
        max_error=sums.worst if np.size(reading.scale) == 1 else math.nan,
        bound=_bound(reading, energy, values.rounded),
        provenance="sketch",
    )


def _bound(reading: Reading, energy: float, rounded: bool) -> float | None:
    """Half-width in dB of the interval around the reading that holds the exact figure."""
    sums, total = reading.sums, max(0.0, reading.sums.total)
    if total == 0:
        return 0.0 if sums.upper == 0 else None
    slack = (FLOAT32 + (2.0**-23 if rounded else 0.0)) * math.sqrt(energy)
    slack += reading.wobble * (math.sqrt(energy) + math.sqrt(sums.upper))
    lower = max(0.0, math.sqrt(sums.lower) - slack) ** 2
    upper = (math.sqrt(sums.upper) + slack) ** 2
    if lower == 0 or not math.isfinite(upper):
        return None
    return max(0.0, 10 * math.log10(upper / total), 10 * math.log10(total / lower))


def _codes(reading: Reading, scale: np.ndarray, scheme: Any) -> np.ndarray:
    """How many values become each value of the format, taking cut bins as evenly filled."""
    cells = reading.cells
    pieces = cells.pieces(reading.ladder, scale)
    cell = pieces[:, 0].astype(np.int64)
    place = pieces[:, 6].astype(np.int64)
    size = reading.ladder.values.size
    place = np.where(cells.side[cell] == 1, size - 1 - place, place)
    share = (pieces[:, 2] - pieces[:, 1]) / cells.width[cell] * cells.count[cell]
    values = reading.ladder.values
    at = np.searchsorted(scheme.element.values, values[place])
    at = np.clip(at, 0, scheme.element.values.size - 1)
    return np.bincount(at, share, scheme.element.values.size)
