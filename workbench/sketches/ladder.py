"""A format as a ladder: its values, and the thresholds between which each is chosen."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..formats import Format
from ..schemes.report import clip_limits


class Ladder(NamedTuple):
    """Thresholds and values for magnitudes of positive values, then for those of negative ones.

    `limits` is where clipping begins on either side; everything is in the format's units.
    """

    thresholds: np.ndarray
    values: np.ndarray
    negative_thresholds: np.ndarray
    negative_values: np.ndarray
    limits: np.ndarray


def ladder_between(
    values: np.ndarray, low: float, high: float, middles: np.ndarray | None = None
) -> Ladder:
    """The ladder of sorted values that clips below `low` and above `high`.

    Rounding turns at `middles`, half-way between neighbours where none are given.

    Example:
        >>> ladder_between(np.array([-1.0, 0.0, 1.0]), -1.5, 1.5).thresholds
        array([-0.5,  0.5])
    """
    thresholds = 0.5 * values[:-1] + 0.5 * values[1:] if middles is None else middles
    mirrored = (-thresholds[::-1] + 0.0, -values[::-1] + 0.0)
    return Ladder(thresholds, values, *mirrored, np.array([high, -low]))


@lru_cache(maxsize=256)
def ladder_of(format: Format) -> Ladder:
    """The ladder of a format whose overflow, if it has one, is not reached.

    Example:
        >>> import workbench as wb
        >>> ladder_of(wb.format("int2")).limits
        array([1.5, 2.5])
    """
    return ladder_between(format.values, *clip_limits(format), format.middles)


@lru_cache(maxsize=64)
def whole_numbers(codes: int) -> Ladder:
    """The integers within `codes` of zero, without clipping: a range with a zero point reaches
    exactly as far as its data, and its rounding is that of x / scale to whole numbers.

    Example:
        >>> whole_numbers(2).values
        array([-2., -1.,  0.,  1.,  2.])
    """
    return ladder_between(np.arange(-codes, codes + 1, dtype=np.float64), -np.inf, np.inf)
