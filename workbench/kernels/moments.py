"""The squared error of bins of values under a format, from three moments of each bin.

A bin holds magnitudes from `low` to `low + width`; its weight and the first two moments about
`low` are known. Where all of a bin becomes one value, its error is exact. Where a decision
threshold t cuts it, the error is that of the lower value less 2 d (P + (t - m) N) with P the sum
of (x - t) above t, N how many values these are, and m the middle of both values, which t need not
be. P is bounded by parabolas and chords that lie under and over (x - t)+ on the bin, N by the mean,
whatever the values in it are; the estimate takes a density that is linear in the bin and has its
mean.
"""

from __future__ import annotations

import numpy as np

from .cache import jit

# Columns of what `bin_errors` gives for each bin.
ROUNDING, CLIPPING, UNDERFLOW, LOWER, UPPER, WORST = range(6)


@jit
def above(thresholds, x):
    """How many sorted thresholds lie below x or at it."""
    low, high = 0, thresholds.size
    while low < high:
        middle = (low + high) // 2
        if thresholds[middle] <= x:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def _excess(weight, first, second, width, t):
    """Bounds and an estimate of the sum of (x - t)+ in a bin; all about its lower edge."""
    mean = first / weight
    variance = max(0.0, second / weight - mean * mean)
    least = max(0.0, max(first - weight * t, (second - t * first) / width))
    gap = mean - t
    most = 0.5 * weight * (np.sqrt(variance + gap * gap) + gap)
    most = min(most, first * (width - t) / width)
    if 2 * t >= width:
        most = min(most, (width - t) * second / (width * width))
    else:
        mirrored = weight * width * width - 2 * width * first + second
        most = min(most, first - weight * t + t * mirrored / (width * width))
    share = t / width
    tilt = min(1.0, max(-1.0, 6 * mean / width - 3))
    usual = 0.5 * (1 - share) ** 2 + tilt * (1 / 6 + share**3 / 3 - share * share / 2)
    most = max(most, least)
    return least, most, min(most, max(least, weight * width * usual))


@jit
def _number(weight, first, width, t):
    """Bounds and an estimate of how many values of a bin lie above t; all about its lower edge."""
    most = min(weight, first / t) if t > 0 else weight
    least = max(0.0, (first - weight * t) / (width - t)) if t < width else 0.0
    share = t / width
    tilt = min(1.0, max(-1.0, 6 * first / weight / width - 3))
    usual = weight * (1 - share + tilt * (share - share * share))
    most = max(most, least)
    return least, most, min(most, max(least, usual))


@jit
def _cause(y, x, limit):
    return CLIPPING if x > limit else (UNDERFLOW if y == 0 else ROUNDING)


@jit
def _one_value(out, weight, first, second, low, width, y, scale, limit):
    """The exact error of a bin that becomes `y` as a whole."""
    gap = low - y * scale
    error = max(0.0, second + 2 * gap * first + weight * gap * gap)
    out[LOWER] = out[UPPER] = error
    out[WORST] = max(abs(gap), abs(gap + width))
    high = (low + width) / scale
    if low / scale >= limit or high <= limit:
        out[_cause(y, (low + 0.5 * width) / scale, limit)] = error
        return
    cut = limit * scale - low  # clipping begins inside the bin: shared out as if it were uniform
    share = (gap + cut) ** 3 - gap**3
    share = share / ((gap + width) ** 3 - gap**3)
    out[ROUNDING if y != 0 else UNDERFLOW] = error * share
    out[CLIPPING] = error * (1 - share)


@jit
def _pieces(out, low, width, scale, thresholds, values, limit, start, stop):
    """Integrals of the squared error over the pieces of a bin, by cause; returns the largest."""
    left, largest = low, 0.0
    for j in range(start, stop + 1):
        right = thresholds[j] * scale if j < stop else low + width
        y = values[j] * scale
        a, b = left - y, right - y
        largest = max(largest, max(abs(a), abs(b)))
        middle = 0.5 * (left + right) / scale
        out[_cause(values[j], middle, limit)] += (b * b * b - a * a * a) / 3
        left = right
    return largest


@jit
def _several_values(out, weight, first, second, low, width, scale, thresholds, values, limit, ends):
    """The error of a bin that thresholds cut: estimate, bounds, and its share by cause."""
    start, stop = ends
    largest = _pieces(out, low, width, scale, thresholds, values, limit, start, stop)
    uniform = out[ROUNDING] + out[CLIPPING] + out[UNDERFLOW]
    out[WORST] = largest
    error = weight / width * uniform
    out[LOWER], out[UPPER] = 0.0, weight * largest * largest
    if stop == start + 1:
        y, d = values[start] * scale, (values[stop] - values[start]) * scale
        gap = low - y
        one = second + 2 * gap * first + weight * gap * gap
        t = thresholds[start] * scale - low
        least, most, usual = _excess(weight, first, second, width, t)
        off = (thresholds[start] - 0.5 * (values[start] + values[stop])) * scale
        if off != 0:
            fewest, many, number = _number(weight, first, width, t)
            least += off * (fewest if off > 0 else many)
            most += off * (many if off > 0 else fewest)
            usual += off * number
        error = max(0.0, one - 2 * d * usual)
        out[LOWER] = max(0.0, one - 2 * d * most)
        out[UPPER] = max(0.0, one - 2 * d * least)
    for cause in range(3):
        out[cause] *= error / uniform if uniform > 0 else 0.0


@jit
def _bin_errors(
    low,
    width,
    side,
    moments,
    scale,
    thresholds,
    values,
    other_thresholds,
    other_values,
    limits,
    out,
):
    for i in range(low.size):
        weight, first, second = moments[i, 0], moments[i, 1], moments[i, 2]
        t, v = (thresholds, values) if side[i] == 0 else (other_thresholds, other_values)
        limit = limits[side[i]]
        s = scale[i] if scale.size > 1 else scale[0]
        wide = width[i]
        at, spread = low[i], second * weight - first * first
        if first == 0 and second == 0:
            wide = 0.0
        elif spread <= 1e-12 * first * first:  # all values of the bin are one
            at, wide = low[i] + first / weight, 0.0
            first, second = 0.0, 0.0
        start = above(t, at / s)
        stop = above(t, (at + wide) / s)
        if stop > start and t[stop - 1] * s >= at + wide:  # the upper edge is not in the bin
            stop -= 1
        if start == stop or wide == 0:
            _one_value(out[i], weight, first, second, at, wide, v[start], s, limit)
        else:
            ends = (start, stop)
            _several_values(out[i], weight, first, second, at, wide, s, t, v, limit, ends)


def bin_errors(
    low: np.ndarray,
    width: np.ndarray,
    side: np.ndarray,
    moments: np.ndarray,
    scale: np.ndarray,
    ladder: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> np.ndarray:
    """Every bin's squared error by cause, its lower and upper bound, and the largest of one value.

    Args:
        low: the bins' lower edges, as magnitudes, float64.
        width: their widths.
        side: 0 for positive and 1 for negative values, int64.
        moments: (bins, 3): weight, sum of (|x| - low), sum of (|x| - low)^2; weights positive.
        scale: float64, one a bin or a single one.
        ladder: thresholds and values for magnitudes of positive values, the same for negative ones,
            and the two limits where clipping begins; all in the format's units.

    Returns:
        (bins, 6): rounding, clipping, underflow, lower bound, upper bound, largest error.

    Example:
        >>> one, t, v = np.ones(1), np.array([0.5, 1.5]), np.array([0.0, 1.0, 2.0])
        >>> ladder = (t, v, t, v, np.array([2.5, 2.5]))
        >>> side, moments = np.zeros(1, np.int64), np.array([[1.0, 0.1, 0.01]])
        >>> round(float(bin_errors(one, 0.25 * one, side, moments, one, ladder)[0, 0]), 9)
        0.01
    """
    out = np.zeros((low.size, 6))
    _bin_errors(low, width, side, moments, scale, *ladder, out)
    return out


@jit
def _cut_bins(
    low, width, side, scale, thresholds, values, other_thresholds, other_values, limits, out
):
    count = 0
    for i in range(low.size):
        t, v = (thresholds, values) if side[i] == 0 else (other_thresholds, other_values)
        s = scale[i] if scale.size > 1 else scale[0]
        limit = limits[side[i]]
        left, end = low[i], low[i] + width[i]
        j = above(t, left / s)
        while left < end:
            right = min(end, t[j] * s) if j < t.size else end
            clipped = left >= limit * s
            if not clipped:
                right = min(right, limit * s)
            if right > left and count < out.shape[0]:
                gap = v[j + 1] - v[j] if j + 1 < v.size and left / s > v[j] else 0.0
                if gap == 0:
                    gap = v[j] - v[j - 1] if j > 0 else v[1] - v[0]
                cause = CLIPPING if clipped else (UNDERFLOW if v[j] == 0 else ROUNDING)
                row = out[count]
                row[0], row[1], row[2], row[3] = i, left, right, v[j] * s
                row[4], row[5], row[6] = gap * s, cause, j
            count += 1 if right > left else 0
            if right == end:
                break
            left = right
            j += 1 if j < t.size and right >= t[j] * s else 0
    return count


def cut_bins(
    low: np.ndarray,
    width: np.ndarray,
    side: np.ndarray,
    scale: np.ndarray,
    ladder: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> np.ndarray:
    """Bins cut where their rounding or its cause changes; arguments as for `bin_errors`.

    Returns:
        (pieces, 7) float64: the bin's index, the piece's ends, the value it becomes, the local
        step, its cause (0 rounding, 1 clipping, 2 underflow), and the value's place in the ladder.

    Example:
        >>> one, t, v = np.ones(1), np.array([0.5, 1.5]), np.array([0.0, 1.0, 2.0])
        >>> ladder = (t, v, t, v, np.array([2.5, 2.5]))
        >>> cut_bins(one, one, np.zeros(1, np.int64), one, ladder)[:, 1:4].tolist()
        [[1.0, 1.5, 1.0], [1.5, 2.0, 2.0]]
    """
    out = np.empty((0, 7))
    count = _cut_bins(low, width, side, scale, *ladder, out)
    out = np.empty((count, 7))
    _cut_bins(low, width, side, scale, *ladder, out)
    return out
