"""Errors of a scheme on values, laid out for the error view: exact, sampled, or of a histogram.

`exact` rounds every value; `of_histogram` puts points into every bin of a sketch, which serves
schemes with one scale for the tensor, at a slider's speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import cached_property
from typing import Any

import numpy as np

from ..schemes.report import clip_limits, decibels
from ..views.error_field import CAUSES, ErrorField, tabulate
from ..views.summaries import Grid, Histogram, grid_of, local_steps

CHUNK = 1 << 17
PLAIN, MOVED, ONE_SCALE = "as it is", "moved", "one scale for the tensor"
MANY_SCALES = "at the scale of a middle block"


@dataclass(frozen=True)
class Measured:
    """One scheme on one tensor.

    Args:
        grid: the format's values at the tensor's scale, or at that of a middle block, with how
            many values became each.
        errors: makes `field`, which a picture of the grid alone does without.
    """

    grid: Grid
    errors: Callable[[], ErrorField] = dataclass_field(repr=False)

    @cached_property
    def field(self) -> ErrorField:
        """Errors by value, size and cause."""
        return self.errors()

    def corrected(self, change: Callable[[ErrorField], ErrorField]) -> Measured:
        """The same with another field in its place."""
        return replace(self, errors=lambda: change(self.field))


def of_histogram(
    scheme: Any, histogram: Histogram, edges: np.ndarray, scale: float, rounding: str, note: str
) -> Measured:
    """The errors of a scheme with one `scale` for the tensor, from points in every bin."""
    points, weights = histogram.points(8 if histogram.counts.size > 1500 else 24)
    rounded, steps = _one_scale(scheme, points, scale, rounding)
    grid = grid_of(scheme.element, scale, scheme.name, scheme.family, note)
    ends = [limit * scale for limit in clip_limits(scheme.element)]
    tables = tabulate(points, weights, rounded, steps, (ends[0], ends[1]), edges)
    field = _field(scheme, tables, edges, histogram.total, "sketch")
    largest = np.nan_to_num(np.abs(rounded - points), nan=0.0)
    field = replace(field, max_error=float(largest.max(initial=0)), bound=None)
    return Measured(replace(grid, counts=grid.occupancy(histogram)), lambda: field)


def _one_scale(
    scheme: Any, values: np.ndarray, scale: float, rounding: str
) -> tuple[np.ndarray, np.ndarray]:
    """Values rounded under one scale, and the local steps there."""
    scaled = values / scale
    return (
        scheme.element.round(scaled, rounding) * scale,
        local_steps(scheme.element, scaled) * scale,
    )


def exact(
    scheme: Any,
    array: np.ndarray,
    edges: np.ndarray,
    rounding: str = "nearest_even",
    shift: float = 0.0,
    provenance: str = "exact",
    stop: Any = None,
) -> Measured | None:
    """The errors of a scheme on every value of `array`; None where `stop()` said so on the way.

    Args:
        scheme: a `Scheme`.
        array: float32 or float64 of any shape; NaN and infinities are left out.
        edges: of the value bins.
        rounding: the rounding mode.
        shift: log2 of a factor on all scales, which moves the grid over the data.
        provenance: "exact" for all values, "sample" for some.
        stop: called between chunks; true ends the work.
    """
    from ..schemes import apply

    scales = Scales.of(scheme, array, shift)
    none = np.zeros(0)
    tables = tabulate(none, None, none, none, (0, 0), edges)
    codes = np.zeros(scheme.element.values.size)
    most, limits = 0.0, clip_limits(scheme.element)
    for values, rounded, units, each, zeros in _parts(scheme, scales, array, rounding):
        if stop is not None and stop():
            return None
        each = each.astype(np.float64)  # the ends of a grid may lie beyond float32
        offset = apply.offsets(scheme, each, zeros)
        ends = ((limits[0] - offset) * each, (limits[1] - offset) * each)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            steps = local_steps(scheme.element, values / each + offset) * each
        new = tabulate(values, None, rounded, steps, ends, edges)
        tables = tuple(a + b for a, b in zip(tables, new, strict=True))
        codes += _codes(scheme.element, units)
        most = max(most, float(np.abs(rounded - values).max(initial=0)))
    field = _field(scheme, tables, edges, float(codes.sum()), provenance)
    field = replace(field, max_error=most, bound=0.0 if provenance == "exact" else None)
    return Measured(_grid(scheme, scales, codes), lambda: field)


def counted(scheme: Any, array: np.ndarray, rounding: str, shift: float) -> Grid:
    """The grid alone of what `exact` measures, in a part of its time."""
    scales = Scales.of(scheme, array, shift)
    parts = _parts(scheme, scales, array, rounding)
    none = np.zeros(scheme.element.values.size)
    return _grid(scheme, scales, sum((_codes(scheme.element, part[2]) for part in parts), none))


def _grid(scheme: Any, scales: Scales, codes: np.ndarray) -> Grid:
    """The values of a scheme at its middle scale, with how many values became each."""
    grid = grid_of(scheme.element, scales.middle, scheme.name, scheme.family, scales.note)
    return replace(grid, counts=codes)


def _parts(scheme: Any, scales: Scales, array: np.ndarray, rounding: str) -> Iterator[tuple]:
    """Finite values, what they come back as, the format's values, scales and zero points."""
    for values, each, zeros in scales.chunks(array):
        rounded, units = _rounded(scheme, values, each, zeros, rounding)
        keep = np.isfinite(values)
        if not keep.all():
            values, rounded, units, each = (a[keep] for a in (values, rounded, units, each))
            zeros = zeros if zeros is None else zeros[keep]
        yield values, rounded, units, each, zeros


def _rounded(
    scheme: Any, values: np.ndarray, each: np.ndarray, zeros: Any, rounding: str
) -> tuple[np.ndarray, np.ndarray]:
    """Values as they come back, and the format's value that each became."""
    from ..schemes import apply

    if scheme.scale is None:
        with np.errstate(invalid="ignore", over="ignore"):
            units = scheme.format.round(values / each, rounding)
            return units * each, units
    units = apply.scaled_values(scheme, values.copy(), each, zeros, rounding)
    return apply.restore(scheme, units, each, zeros), units


def _codes(element: Any, units: np.ndarray) -> np.ndarray:
    """How many of `units` are each value of the format."""
    # float32 units stand beside float64 values, so each is told by the halves between them
    at = np.searchsorted(0.5 * (element.values[:-1] + element.values[1:]), units)
    at = np.clip(at, 0, element.values.size - 1)
    return np.bincount(at, minlength=element.values.size).astype(np.float64)


def _field(
    scheme: Any, tables: Any, edges: np.ndarray, count: float, provenance: str
) -> ErrorField:
    """An error field whose figures are those of its tables."""
    counts, squares, energy = tables
    total, signal = float(squares.sum()), float(energy.sum())
    parts = squares.sum(1) / max(count, 1)
    return ErrorField(
        label=scheme.name,
        family=scheme.family,
        edges=edges,
        counts=counts,
        squares=squares,
        energy=energy,
        causes=dict(zip(CAUSES, map(float, parts), strict=True)),
        mse=total / max(count, 1),
        sqnr=decibels(signal, total),
        max_error=0.0,
        provenance=provenance,
    )


@dataclass(frozen=True)
class Scales:
    """The scale of every value of an array, spread out a chunk at a time."""

    layout: Any
    scales: np.ndarray
    zeros: np.ndarray | None
    note: str

    @classmethod
    def of(cls, scheme: Any, array: np.ndarray, shift: float) -> Scales:
        """The scales that a scheme chooses, times 2**shift."""
        from ..schemes import apply
        from ..schemes.layout import Layout
        from ..schemes.scale import Scale

        factor = np.float32(2.0**shift)
        if scheme.scale is None:
            layout = Layout.of(array.shape, -1, Scale())
            return cls(layout, np.full((1, 1), factor), None, MOVED if shift else PLAIN)
        layout = Layout.of(array.shape, -1, scheme.scale)
        chosen = apply.choose_scales(scheme, layout.to_rows(array), layout)
        scales, zeros = chosen.scales, chosen.zeros
        note = ONE_SCALE if scales.size == 1 else MANY_SCALES
        return cls(layout, scales * factor, zeros, note)

    @property
    def middle(self) -> float:
        """The median of the positive scales; 1 where there are none."""
        positive = self.scales[(self.scales > 0) & np.isfinite(self.scales)]
        return float(np.sort(positive)[positive.size // 2]) if positive.size else 1.0

    def chunks(self, array: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, Any]]:
        """Flat values with the scale and zero point of each, about `CHUNK` at a time."""
        layout = self.layout
        rows = layout.to_rows(array)
        if not rows.size:
            return
        wide = min(rows.shape[1], CHUNK)
        tall = max(1, CHUNK // wide)
        for top in range(0, rows.shape[0], tall):
            bands = np.arange(top, min(top + tall, rows.shape[0]))
            bands = np.searchsorted(layout.bands, bands, side="right") - 1
            for left in range(0, rows.shape[1], wide):
                part = rows[top : top + tall, left : left + wide]
                blocks = np.arange(left, left + part.shape[1]) // layout.size
                yield (
                    part.reshape(-1),
                    self.scales[np.ix_(bands, blocks)].reshape(-1),
                    None if self.zeros is None else self.zeros[np.ix_(bands, blocks)].reshape(-1),
                )


def sample(array: np.ndarray, most: int = 1 << 16, multiple: int = 128) -> np.ndarray:
    """At most about `most` values of `array`, in whole slices of its leading axis.

    Slices are taken in runs of up to `multiple`, so that tiles stay whole; a vector gives one run
    from its middle.

    Example:
        >>> sample(np.zeros((4096, 256), np.float32), 1 << 15).shape
        (128, 256)
    """
    if array.size <= most or array.ndim == 0:
        return array
    each = array.size // array.shape[0]
    count = max(1, most // each)
    if array.ndim == 1:
        start = (array.shape[0] - count) // 2 // multiple * multiple
        return array[start : start + count]
    run = min(multiple, count)
    starts = np.linspace(0, array.shape[0] - run, max(1, count // run)).astype(int)
    starts = starts // multiple * multiple if run == multiple else starts
    return np.concatenate([array[s : s + run] for s in np.unique(starts)])


def value_edges(histogram: Histogram, each: int = 4) -> np.ndarray:
    """Value bins for error fields: `each` an octave over the histogram's own axis, both signs."""
    axis = histogram.axis()
    low, high = axis.range
    places = np.arange(np.floor(low * each), np.ceil(high * each) + 1) / each
    return axis.value(places)
