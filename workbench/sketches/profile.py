"""The error of a scheme by value: where on the axis it arises, in how many steps, and why."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..schemes.report import CAUSES
from .reading import Reading


@dataclass(frozen=True, eq=False)
class ErrorProfile:
    """The bins of a sketch, cut where their rounding or its cause changes, ascending by value.

    Args:
        low, high: the ends of each piece, signed float64, in `unit`.
        becomes: the value that the piece is rounded to, in `unit`.
        step: the distance between neighbouring values there, in `unit`.
        cause: index into `schemes.report.CAUSES`: rounding, clipping or underflow.
        count: values in each piece (bins that are cut are taken as evenly filled).
        squared: each piece's part of the mean squared error; they add up to the report's rounding
            with scale, clipping and underflow.
        unit: what `low`, `high`, `becomes` and `step` are measured in: "x", or the block's unit.
    """

    low: np.ndarray = field(repr=False)
    high: np.ndarray = field(repr=False)
    becomes: np.ndarray = field(repr=False)
    step: np.ndarray = field(repr=False)
    cause: np.ndarray = field(repr=False)
    count: np.ndarray = field(repr=False)
    squared: np.ndarray = field(repr=False)
    unit: str = "x"

    def in_steps(self, edges: np.ndarray) -> np.ndarray:
        """How many values have a signed error between each two of `edges`, in local steps.

        Args:
            edges: ascending, (bins + 1,); errors beyond the ends are left out, use infinite ends
                to keep them.

        Returns:
            (causes, bins) float64, causes as in `schemes.report.CAUSES`.
        """
        first = (self.becomes - self.high) / self.step
        last = (self.becomes - self.low) / self.step
        width = np.maximum(last - first, 1e-300)
        edges = np.asarray(edges, np.float64)
        below = np.clip((edges[None, :] - first[:, None]) / width[:, None], 0, 1)
        inside = np.diff(below, axis=1) * self.count[:, None]
        out = np.zeros((len(CAUSES), edges.size - 1))
        np.add.at(out, self.cause, inside)
        return out


def profile_of(reading: Reading, unit: str, n: int) -> ErrorProfile:
    """The profile of what a scheme was read from; `n` is how many values the mean is over."""
    cells, scale = reading.cells, reading.scale
    pieces = cells.pieces(reading.ladder, scale)
    errors = cells.errors(reading.ladder, scale)
    cell, cause = pieces[:, 0].astype(np.int64), pieces[:, 5].astype(np.int64)
    left, right, becomes, step = pieces[:, 1:5].T
    share = (right - left) / cells.width[cell]
    integral = ((right - becomes) ** 3 - (left - becomes) ** 3) / 3
    total = np.zeros((cells.low.size, 3))
    np.add.at(total, (cell, cause), integral)
    part = np.divide(integral, total[cell, cause], out=np.zeros(cell.size), where=integral > 0)
    squared = part * errors[cell, cause] / max(1, n)
    sign = np.where(cells.side[cell] == 1, -1.0, 1.0)
    ends = np.sort(np.stack([sign * left, sign * right]), axis=0)
    order = np.argsort(ends[0], kind="stable")
    return ErrorProfile(
        low=ends[0][order],
        high=ends[1][order],
        becomes=(sign * becomes)[order],
        step=step[order],
        cause=cause[order],
        count=(share * cells.count[cell])[order],
        squared=squared[order],
        unit=unit,
    )
