"""Largest magnitudes of tiles, rows and columns, and counts by channel, each in one pass."""

from __future__ import annotations

import numpy as np

from .cache import as_int32, jit
from .threads import over_chunks, spans

_MAGNITUDE = np.int32(0x7FFFFFFF)
_INFINITY = np.int32(0x7F800000)
TILE = 64  # channels counted together, so that their counters stay in the second-level cache


@jit
def _pool_band(x, tile, pooled, row_max, column_max):
    rows, cols = x.shape
    band = np.zeros(cols, np.int32)
    for r in range(rows):
        row, most = x[r], np.int32(0)
        for c in range(cols):
            bits = np.int32(as_int32(np.float32(row[c])) & _MAGNITUDE)
            bits = min(bits, _INFINITY)
            band[c] = max(band[c], bits)
            most = max(most, bits)
        row_max[r] = most
    for c in range(cols):
        column_max[c] = max(column_max[c], band[c])
    for p in range(pooled.size):
        part = band[p * tile : min(p * tile + tile, cols)]
        most = np.int32(0)
        for j in range(part.size):
            most = max(most, part[j])
        pooled[p] = most


def pool_magnitudes(
    x: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest |x| of every tile of `height` x `width`, of every row and of every column.

    Args:
        x: (rows, cols) float32 or float64; NaN counts as infinite.
        height: rows of a tile; the last may be lower.
        width: columns of a tile; the last may be narrower.

    Returns:
        Float32 arrays (tiles down, tiles across), (rows,), (cols,).

    Example:
        >>> pooled, rows, columns = pool_magnitudes(np.float32([[1, -2, 3]]), 2, 2)
        >>> pooled.tolist(), rows.tolist(), columns.tolist()
        ([[2.0, 3.0]], [3.0], [1.0, 2.0, 3.0])
    """
    rows, cols = x.shape
    bands = spans(rows, height)
    pooled = np.zeros((len(bands), -(-cols // width)), np.int32)
    row_max = np.zeros(rows, np.int32)

    def work(first: int, last: int) -> np.ndarray:
        columns = np.zeros(cols, np.int32)
        for b in range(first, last):
            start, stop = bands[b]
            _pool_band(x[start:stop], width, pooled[b], row_max[start:stop], columns)
        return columns

    parts = over_chunks(work, len(bands), height * max(1, cols))
    columns = np.max(parts, axis=0) if parts else np.zeros(cols, np.int32)
    return pooled.view(np.float32), row_max.view(np.float32), columns.view(np.float32)


@jit
def _count_channels(x, first, counts, low, high):
    outer, _, inner = x.shape
    for o in range(outer):
        for c in range(counts.shape[0]):
            run = x[o, first + c]
            for i in range(inner):
                v = np.float32(run[i])
                bits = as_int32(v)
                counts[c, (np.int64(bits) >> 20) & 0xFFF] += 1
                if np.int32(bits & _MAGNITUDE) < _INFINITY:
                    low[c] = min(low[c], v)
                    high[c] = max(high[c], v)


def channel_counts(
    x: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """How many values of each channel have each sign, exponent and first three mantissa bits.

    Args:
        x: (outer, channels, inner) float32 or float64 (rounded to float32).

    Returns:
        The used upper 12 bits (keys,) ascending, counts (channels, keys) int64, and the smallest
        and largest finite value of each channel (inf and -inf where there is none), float32.

    Example:
        >>> keys, counts, low, high = channel_counts(np.float32([[[1.0, 1.1]], [[2.0, -1.0]]]))
        >>> [hex(k) for k in keys], counts.tolist(), high.tolist()
        (['0x3f8', '0x400', '0xbf8'], [[2, 1, 1]], [2.0])
    """
    channels = x.shape[1]
    low = np.full(channels, np.inf, np.float32)
    high = np.full(channels, -np.inf, np.float32)
    tiles = spans(channels, TILE)

    def one(first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        counts = np.zeros((last - first, 1 << 12), np.int64)
        with np.errstate(over="ignore"):
            _count_channels(x, first, counts, low[first:last], high[first:last])
        used = np.flatnonzero(counts.any(axis=0))
        return used, counts[:, used]

    each = TILE * x.shape[0] * x.shape[2]
    done = over_chunks(lambda a, b: [one(*tile) for tile in tiles[a:b]], len(tiles), max(1, each))
    parts = [part for chunk in done for part in chunk]
    keys = np.unique(np.concatenate([p[0] for p in parts])) if parts else np.zeros(0, np.int64)
    counts = np.zeros((channels, keys.size), np.int64)
    for (first, last), (used, tile) in zip(tiles, parts, strict=True):
        counts[first:last, np.searchsorted(keys, used)] = tile
    return keys, counts, low, high
