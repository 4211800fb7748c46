"""The numbers behind the explorer's pictures: from the sketch at once, exact in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ..metrics.error import error
from ..views.channel_fan import Fan
from ..views.metrics_table import Figures
from ..views.summaries import Grid, Histogram
from . import measure, reading
from .measure import Measured
from .sources import Source

ONE = (measure.PLAIN, measure.MOVED, measure.ONE_SCALE)
MOST_EXACT = 1 << 25  # values above this are measured on a sample


@dataclass(frozen=True)
class Picture:
    """Everything the views of one state show.

    Args:
        source: the tensor.
        histogram: of its values.
        measured: errors and grid of each scheme.
        schemes: what was measured.
        fan: quantiles of its channels.
        provenance: "exact" or "sketch".
    """

    source: Source
    histogram: Histogram
    measured: list[Measured]
    schemes: Sequence[Any]
    fan: Fan
    provenance: str

    @property
    def fields(self) -> list[Any]:
        """The error field of each scheme."""
        return [one.field for one in self.measured]

    @cached_property
    def figures(self) -> list[Figures]:
        """The figures of merit of each scheme."""
        pairs = zip(self.measured, self.schemes, strict=True)
        return [_figures(one, scheme, self.source) for one, scheme in pairs]

    @property
    def reaches(self) -> list[Grid]:
        """Grids of the schemes with one scale for the tensor."""
        return [one.grid for one in self.measured if one.grid.note in ONE]

    def grids_over(self, channel: int | None) -> list[Grid]:
        """The grid of each scheme; over a channel, counted anew where there is one scale."""
        grids = [one.grid for one in self.measured]
        if channel is None:
            return grids
        return [
            replace(grid, counts=None if grid.note in ONE else np.full(grid.values.size, np.nan))
            for grid in grids
        ]

    def of_channel(self, channel: int) -> Histogram:
        """The histogram of one channel."""
        return reading.channel_histogram(self.source, channel)


def sketched(source: Source, schemes: Sequence[Any], rounding: str, shift: float) -> Picture:
    """The numbers of a state, read from the tensor's sketch."""
    quick = source.quick
    measured = [_sketched(source, scheme, rounding, shift, quick) for scheme in schemes]
    return Picture(
        source,
        reading.histogram(source),
        measured,
        schemes,
        reading.fan(source),
        "sketch",
    )


@lru_cache(maxsize=96)
def _sketched(source: Source, scheme: Any, rounding: str, shift: float, quick: bool) -> Measured:
    """One scheme, from the sketch; kept, so that a change redoes only the schemes it touches.

    Whether the values are at hand by now is part of what it is kept under.
    """
    return reading.measured(source, scheme, rounding, shift)


def exactly(
    source: Source,
    schemes: Sequence[Any],
    rounding: str,
    shift: float,
    stop: Callable[[], bool],
) -> Picture | None:
    """The numbers of a state from every value; None where `stop()` became true on the way.

    A tensor of more than `MOST_EXACT` values is sampled, and says so.
    """
    edges = measure.value_edges(reading.histogram(source))
    array, provenance = source.array, "exact"
    if array.size > MOST_EXACT:
        array, provenance = measure.sample(array, MOST_EXACT), "sample"
    measured = []
    for scheme in schemes:
        one = measure.exact(scheme, array, edges, rounding, shift, provenance, stop)
        if one is None:
            return None
        measured.append(_with_scale_cause(one, scheme, array, rounding, shift))
    return Picture(
        source,
        replace(reading.histogram(source), provenance=provenance),
        measured,
        schemes,
        reading.fan(source),
        provenance,
    )


def _with_scale_cause(
    one: Measured, scheme: Any, array: np.ndarray, rounding: str, shift: float
) -> Measured:
    """The causes with the part that rounding the scales had, where the metrics define it."""
    rounds = scheme.scale is not None and scheme.scale.levels[0].name != "f32"
    if not rounds or shift or rounding != "nearest_even":
        return one
    report = error(array, scheme)
    return one.corrected(lambda field: replace(field, causes=report.causes))


def _figures(one: Measured, scheme: Any, source: Source) -> Figures:
    """The row of the table for one scheme."""
    bits = float(scheme.bits_per_value(source.shape))
    sqnr = one.field.sqnr
    return Figures(
        label=one.field.label,
        family=one.field.family,
        sqnr=sqnr,
        bound=one.field.bound,
        mse=one.field.mse,
        max_error=one.field.max_error,
        effective_bits=(sqnr - 1.76) / 6.02 if np.isfinite(sqnr) else sqnr,
        nbytes=int(np.ceil(bits * source.count / 8)),
        bits_per_value=bits,
        provenance=one.field.provenance,
    )
