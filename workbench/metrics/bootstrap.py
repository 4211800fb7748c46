"""Intervals by drawing the parts of a sample again and again, the same draws every time."""

from __future__ import annotations

import numpy as np

RESAMPLES = 2000


def resampled(sums: np.ndarray) -> np.ndarray:
    """Totals of parts that are drawn with replacement, float64 (`RESAMPLES`, columns).

    Args:
        sums: (parts, columns), what each part adds to each total.

    Example:
        >>> resampled(np.ones((4, 2)))[0].tolist()
        [4.0, 4.0]
    """
    count = len(sums)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return drawn @ sums


def ends(values: np.ndarray, share: float = 0.95) -> tuple[float, float]:
    """The ends of the middle `share` of values.

    Example:
        >>> ends(np.arange(101.0), 0.5)
        (25.0, 75.0)
    """
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def ratio_interval(
    above: np.ndarray, below: np.ndarray, share: float = 0.95
) -> tuple[float, float, float]:
    """The ratio of two sums over the same parts, and the ends of its interval.

    Args:
        above: (parts,), what each part adds to the numerator.
        below: likewise, of which none is negative.
        share: of the drawn ratios that lie between the ends.

    Example:
        >>> ratio_interval(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
        (0.5, 0.5, 0.5)
    """
    totals = resampled(np.stack([above, below], axis=1))
    some = totals[:, 1] > 0
    if not some.any():
        return 0.0, 0.0, 0.0
    return float(above.sum() / below.sum()), *ends(totals[some, 0] / totals[some, 1], share)
