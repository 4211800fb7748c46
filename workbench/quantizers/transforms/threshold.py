"""Channels that reach beyond a threshold, scaled back to it; the threshold is searched for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ...kernels.threads import one_blas_thread
from ..activations import Rounding
from ..calibration import Calibration
from ..rewrites import Scaling, Step
from ..solvers.base import by_rows
from .base import Reading, Transform

FEWEST, WIDEST = 100, 0.5  # thresholds that are tried at least, and how far apart they are at most
AT_ONCE = 8  # thresholds that a thread tries


@dataclass(frozen=True)
class Threshold(Transform):
    """Divide channels by s = max(1, high / t, low / -t), t chosen by the error of the outputs.

    Thresholds from the largest input down to 1 are tried, each with weights and inputs rounded as
    the recipe will; the least squared error of the outputs on a part of the calibration's rows
    counts. Inputs that stay within 1 are left alone. Source: Outlier Suppression+ (Wei et al.,
    2023), whose shift is `center`. Layers that read the same inputs count by the sum of their
    errors; the paper looks at what attention makes of queries, keys and values.

    Args:
        rows: of the calibration's sample, at even distances, that outputs are compared on. A range
            that is one for all rows of a batch is the range of these rows, unless it is static.

    A recipe that rounds nothing, or a layer without known inputs, raises `WorkbenchError`.

    Example:
        >>> x = np.float32([[0.5, -40.0, 0.9], [-1.0, 20.0, 1.0]])
        >>> reading = Reading(np.float32([[1, 0.05, 1]]), Calibration.of(x),
        ...                   rounding=Rounding("int8/channel", "int4/tensor"))
        >>> Threshold().fit(reading).factors.round(1)
        array([1., 4., 1.], dtype=float32)
    """

    rows: int = 256
    name: ClassVar[str] = "threshold"

    def __post_init__(self):
        if self.rows < 1:
            raise WorkbenchError(
                str(self), "outputs are compared on a row or more", "write threshold(rows=256)"
            )

    def fit(self, reading: Reading) -> Step:
        """The scaling of each input channel."""
        found = reading.known(self.name)
        tried = thresholds(float(found.reach.max()))
        return Scaling(factors(found, tried[np.argmin(self.errors(reading, tried))]))

    def errors(self, reading: Reading, tried: np.ndarray) -> np.ndarray:
        """The squared error of the outputs under each of these thresholds, float64."""
        found, rounding = reading.known(self.name), planned(reading, self.name)
        places = np.linspace(0, len(found.rows) - 1, min(self.rows, len(found.rows))).astype(int)
        rows, weight = found.rows[places], reading.weight
        with one_blas_thread():
            wanted = rows @ weight.T
        errors = np.empty(tried.size)

        def solve(part: slice) -> None:
            for place in range(part.start, part.stop):
                each = factors(found, tried[place])
                ranges = _scaled(found, each) if rounding.static else None
                inputs = rounding.inputs(rows / each, ranges)
                gap = inputs @ rounding.weight(weight * each).T - wanted
                errors[place] = (gap**2).sum(dtype=np.float64)

        by_rows(solve, tried.size, AT_ONCE)
        return errors


def thresholds(most: float) -> np.ndarray:
    """What is tried for inputs up to `most`: at least 100 steps of at most 0.5, down to 1.

    Example:
        >>> thresholds(101.0)[[0, 1, -1]].tolist(), thresholds(101.0).size, thresholds(0.7).size
        ([101.0, 100.504950..., 1.0], 203, 1)
    """
    if most <= 1:
        return np.ones(1)
    return np.linspace(most, 1.0, max(FEWEST, int(most / WIDEST)) + 1)


def factors(found: Calibration, threshold: float) -> np.ndarray:
    """What brings each channel's range within the threshold, float32, 1 or more."""
    reach = np.maximum(found.high, -found.low) / threshold
    return np.maximum(reach, 1).astype(np.float32)


def planned(reading: Reading, name: str) -> Rounding:
    """What the recipe rounds under, where the transform called `name` cannot do without."""
    rounding = reading.rounding
    if not (rounding.weights or rounding.activations):
        raise WorkbenchError(
            f"{name} in a recipe that rounds nothing", "it looks at the error of rounding",
            f"write {name} w=int6/channel a=int6/tensor+zp",
        )  # fmt: skip
    return rounding


def _scaled(found: Calibration, each: np.ndarray) -> Calibration:
    """The ranges and the sample of divided channels, for what static inputs are rounded under."""
    return replace(found, low=found.low / each, high=found.high / each, rows=found.rows / each)
