"""What a layer loses by rounded inputs, and ranges of static ones under which it loses least.

AdaQuant (Hubara et al., 2021) learns such ranges; here their ends are searched, each in turn.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...schemes.fitted import Region
from ...schemes.scale import RangeChoice
from ..activations import Activations
from ..calibration import Calibration
from .goal import Goal

SHARES = np.exp2(-np.arange(1, 41) / 8)  # of a range, down to 1/32
ROWS = 512  # of the sample that are looked at for a single range


def rounded_goal(
    weight: np.ndarray, known: Calibration, inputs: Activations | None, centred: bool
) -> Goal:
    """The goal of a weight whose inputs are rounded.

    Args:
        weight: float32 (outputs, features).
        known: of the inputs; its sample is rounded, and exact inputs are those of all rows.
        inputs: how they are rounded, or None.
        centred: whether the mean error of each output is taken off, as the best bias would.

    Example:
        >>> known = Calibration.of(np.float32([[1.0], [1.4]]))
        >>> goals = [rounded_goal(np.float32([[1]]), known, Activations.of("int2/tensor"), flag)
        ...          for flag in (False, True)]
        >>> [round(float(goal.constant[0]), 4) for goal in goals]
        [0.0541, 0.027]
    """
    wide, size = weight.astype(np.float64), max(float(np.trace(known.gram)) / len(known.low), 1e-30)
    if inputs is None:
        square = known.gram - np.outer(known.mean, known.mean) * centred
        pull, constant = np.zeros_like(weight), np.zeros(len(weight))
    else:
        rows = known.rows.astype(np.float64)
        given = inputs.round(known.rows).astype(np.float64)
        gap = given - rows
        if centred:
            given, gap = given - given.mean(axis=0), gap - gap.mean(axis=0)
        square = given.T @ given / len(rows)
        pull = wide @ (gap.T @ given / len(rows))
        constant = np.einsum("ij,ij->i", wide @ (gap.T @ gap / len(rows)), wide)
    return Goal(weight, *((part / size).astype(np.float32) for part in (square, pull, constant)))


def mean_error(
    weight: np.ndarray, values: np.ndarray, known: Calibration, inputs: Activations | None
) -> np.ndarray:
    """What each output lacks on average with other values and rounded inputs, float32 (outputs,).

    Example:
        >>> known = Calibration.of(np.float32([[1.0], [1.4]]))
        >>> mean_error(np.float32([[2]]), np.float32([[3]]), known, None)
        array([-1.2], dtype=float32)
    """
    mean = given = known.mean
    if inputs is not None:
        mean = known.rows.mean(axis=0, dtype=np.float64)
        given = inputs.round(known.rows).mean(axis=0, dtype=np.float64)
    lack = weight.astype(np.float64) @ mean - values.astype(np.float64) @ given
    return lack.astype(np.float32)


def best_ranges(
    inputs: Activations, known: Calibration, weight: np.ndarray, values: np.ndarray, centred: bool
) -> Activations:
    """Static inputs whose ranges are narrowed where a layer's outputs are nearer then.

    Args:
        inputs: with ranges found beforehand; those are where the search starts.
        known: what they come from.
        weight: float32 (outputs, features), as the layer would have it.
        values: as it has it.
        centred: see `rounded_goal`.

    Returns:
        Inputs under which the error, on the rows that are looked at, is no larger.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((256, 4)).astype(np.float32)
        >>> x[0, 0], eye = 20.0, np.eye(4, dtype=np.float32)
        >>> known = Calibration.of(x)
        >>> found = best_ranges(Activations.of("int4", True, known), known, eye, eye, False)
        >>> bool(found.fixed.scales[0, 0] < 20 / 7)
        True
    """
    search = _Search(inputs, known, weight, values, centred)
    ends = [(1, 1)] if inputs.fixed.zeros is None else [(1, 0), (0, 1)] * 2
    for low, high in ends:
        search.narrow(low, high)
    return Activations(inputs.scheme, search.region)


class _Search:
    """Rows rounded under ranges that are moved, and what a change of them does to the error."""

    def __init__(self, inputs, known, weight, values, centred):
        self.scheme, self.region, self.known = inputs.scheme, inputs.fixed, known
        self.centred, self.low, self.high = centred, known.low.copy(), known.high.copy()
        most = ROWS if inputs.fixed.scales.size == 1 else len(known.rows)
        self.rows = known.rows[:: -(-len(known.rows) // most)]
        self.rounded = self._rounded(self.region, slice(None))
        self.square = values.T @ values
        off = self.rows @ ((values - weight).T @ values)
        self.slope = self._centred((self.rounded - self.rows) @ self.square + off)

    def narrow(self, low: int, high: int) -> None:
        """Move one end of every range, or both, to the best of their shares."""
        tried = [self._narrowed(share**low, share**high) for share in SHARES]
        scales, zeros = (
            None if each[0] is None else np.stack(each)  # (shares, 1, ranges)
            for each in ([one.scales for one in tried], [one.zeros for one in tried])
        )
        now = self.region.scales, self.region.zeros
        found = [None if part is None else part.copy() for part in now]
        for place in range(scales.shape[2]):
            at = slice(place, place + 1)
            columns = slice(None) if scales.shape[2] == 1 else at
            mine = [None if part is None else part[:, :, at] for part in (scales, zeros)]
            best = self._best(Region(self.scheme, *mine), columns)
            if best is None:
                continue
            for part, new in zip(found, mine, strict=True):
                if part is not None:
                    part[:, at] = new[best]
            self.low[columns] *= SHARES[best] ** low
            self.high[columns] *= SHARES[best] ** high
        self.region = Region(self.scheme, *found)

    def _best(self, tried: Region, columns: slice) -> int | None:
        """Move channels to the range of least error; None where they are best as they are."""
        square = self.square[columns, columns]
        moved = self._rounded(tried, columns) - self.rounded[:, columns]
        both = moved @ square + 2 * self.slope[:, columns]
        errors = np.einsum("kij,kij->k", both, moved, dtype=np.float64)
        best = int(errors.argmin())
        if not errors[best] < 0:
            return None
        self.slope += moved[best] @ self.square[columns]
        self.rounded[:, columns] += moved[best]
        return best

    def _rounded(self, region: Region, columns: slice) -> np.ndarray:
        """Some channels of the rows, float32; with several scales each, all of them stacked."""
        return self._centred(region.round(self.rows[:, columns]).astype(np.float32))

    def _narrowed(self, low: float, high: float) -> Region:
        """The scales of ranges with these shares of their ends."""
        plain = replace(self.scheme, scale=replace(self.scheme.scale, range=RangeChoice()))
        ends = {"low": np.float32(self.low * low), "high": np.float32(self.high * high)}
        known = replace(self.known, **ends)
        return Activations.of(str(plain), True, known).fixed

    def _centred(self, rows: np.ndarray) -> np.ndarray:
        """Rows without the mean of each channel, where a bias makes up for that."""
        return rows - rows.mean(axis=-2, keepdims=True) if self.centred else rows
