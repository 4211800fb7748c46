"""How the values of a prefix sketch are spread: log-spaced densities and shares of an interval."""

from __future__ import annotations

import numpy as np

from ..errors import WorkbenchError
from .prefix import PrefixSketch


def density(values: PrefixSketch, per_octave: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges and shares in bins even in log2 |x|; see `Sketch.histogram`."""
    drop = 7 - int(per_octave).bit_length() + 1
    if per_octave < 1 or per_octave > 128 or per_octave & (per_octave - 1):
        raise WorkbenchError(
            f"{per_octave} bins an octave", "bins are joined in powers of two", "use 1, 2, 4 .. 128"
        )
    if not values.n:
        return np.zeros(1), np.zeros(0)
    magnitude = (values.prefixes & 0x7FFF).astype(np.int64) >> drop
    used = magnitude[magnitude > 0]
    first = int(used.min()) if used.size else 1
    last = int(used.max()) if used.size else 1
    edges = (np.arange(first, last + 2) << (drop + 16)).astype(np.uint32).view(np.float32)
    positive = edges.astype(np.float64)
    width = last - first + 1
    negative = values.prefixes >= 0x8000
    at = np.where(magnitude == 0, -1, magnitude - first)
    place = np.where(at < 0, width, np.where(negative, width - 1 - at, width + 1 + at))
    share = np.bincount(place, values.counts, 2 * width + 1) / values.n
    joined = np.concatenate([-positive[::-1], positive])
    held = np.flatnonzero(share)
    return joined[held[0] : held[-1] + 2], share[held[0] : held[-1] + 1]


def share_between(values: PrefixSketch, low: float, high: float) -> float:
    """The share of finite values in [low, high); cut bins are taken as evenly filled."""
    if not values.n or not low < high:
        return 0.0
    start, stop, counts = values.bins
    width = stop - start
    inside = np.minimum(stop, high) - np.maximum(start, low)
    part = np.divide(inside, width, out=np.zeros(width.size), where=width > 0)
    part = np.where(width > 0, np.clip(part, 0, 1), (start >= low) & (start < high))
    return float((counts * part).sum() / values.n)
