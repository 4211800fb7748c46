"""What the views need, read from a tensor's sketch."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..views.channel_fan import COVERAGES, Fan
from ..views.summaries import Histogram
from . import measure
from .measure import Measured
from .sources import Source

ONE_SCALE = ("as it is", "moved", "one scale for the tensor")


def _prefix(x, bits=16):
    x = np.asarray(x, np.float32).ravel()
    good = np.isfinite(x)
    u = x[good].view(np.uint32) >> np.uint32(32 - bits)
    k, c = np.unique(u, return_counts=True)
    a = (k << np.uint32(32 - bits)).astype(np.uint32).view(np.float32).astype(float)
    b = ((k + 1) << np.uint32(32 - bits)).astype(np.uint32).view(np.float32).astype(float)
    lo, hi = np.minimum(a, b), np.maximum(a, b)
    o = np.argsort(lo)
    return Histogram(lo[o], hi[o], c[o])


@lru_cache(maxsize=8)
def histogram(source: Source) -> Histogram:
    return _prefix(source.array)


@lru_cache(maxsize=8)
def fan(source: Source) -> Fan:
    x = (
        np.moveaxis(source.array, source.channel_axis, 0)
        if source.array.ndim > 1
        else source.array[None]
    )
    x = x.reshape(x.shape[0], -1)
    qs = np.array([(1 - c) / 2 for c in COVERAGES])
    return Fan(np.quantile(x, qs, axis=1), np.quantile(x, 1 - qs, axis=1))


@lru_cache(maxsize=8)
def channel_histogram(source: Source, channel: int) -> Histogram:
    return _prefix(np.take(source.array, channel, source.channel_axis))


def measured(source: Source, scheme: Any, rounding: str, shift: float) -> Measured:
    h = histogram(source)
    edges = measure.value_edges(h)
    if scheme.scale is None or (
        scheme.scale.granularity == "tensor" and not scheme.scale.zero_point
    ):
        scale = 2.0**shift
        note = "as it is" if not shift else "moved"
        if scheme.scale is not None:
            scale *= float(measure.Scales.of(scheme, source.array, 0).scales[0, 0])
            note = "one scale for the tensor"
        return measure.of_histogram(scheme, h, edges, scale, rounding, note)
    return measure.exact(
        scheme, measure.sample(source.array, 1 << 15), edges, rounding, shift, "sample"
    )


def with_causes(
    one: Measured, scheme: Any, array: np.ndarray, rounding: str, shift: float
) -> Measured:
    return one
