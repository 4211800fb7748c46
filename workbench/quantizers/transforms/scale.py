"""Scalings and shifts of single channels: smoothing, cross-layer equalization, centring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ..rewrites import Scaling, Shift, Step
from .base import Reading, Transform

SMALLEST = 1e-5


@dataclass(frozen=True)
class Smooth(Transform):
    """Move the size of input channels into the weights: s = max|x|^alpha / max|w|^(1 - alpha).

    Source: SmoothQuant (Xiao et al., 2023). Channels that never carry anything are left alone.

    Example:
        >>> from workbench.quantizers import Calibration
        >>> x = np.array([[100.0, 1.0], [-50.0, 0.5]], np.float32)
        >>> reading = Reading(np.ones((3, 2), np.float32), Calibration.of(x))
        >>> Smooth(0.5).fit(reading).inputs(x)[0]
        array([10.,  1.], dtype=float32)
    """

    alpha: float = 0.5
    name: ClassVar[str] = "smooth"

    def __post_init__(self):
        if not 0 <= self.alpha <= 1:
            raise WorkbenchError(
                f"smooth(alpha={self.alpha})",
                "it is a share from 0 to 1",
                "write smooth(alpha=0.5)",
            )

    def fit(self, reading: Reading) -> Step:
        """The scaling of each input channel."""
        inputs = reading.known(self.name).reach.astype(np.float64)
        weights = np.abs(reading.weight).max(axis=0).astype(np.float64)
        usable = (inputs > 0) & (weights > 0)
        factors = np.ones_like(inputs)
        sizes = np.maximum(inputs, SMALLEST)[usable], np.maximum(weights, SMALLEST)[usable]
        factors[usable] = sizes[0] ** self.alpha / sizes[1] ** (1 - self.alpha)
        return Scaling(np.maximum(factors, SMALLEST).astype(np.float32))


@dataclass(frozen=True)
class Equalize(Transform):
    """Give the rows that write a channel and the columns that read it the same range.

    s = sqrt(range of the row / range of the column). Source: Nagel et al. 2019, cross-layer
    equalization. It holds where nothing but a positively homogeneous function stands between.
    """

    name: ClassVar[str] = "equalize"

    def fit(self, reading: Reading) -> Step:
        """The scaling of each input channel; without a producer a `WorkbenchError`."""
        if reading.producer is None:
            raise WorkbenchError(
                self.name, "no linear layer writes these inputs directly", "write smooth instead"
            )
        written = np.abs(reading.producer).max(axis=1).astype(np.float64)
        read = np.abs(reading.weight).max(axis=0).astype(np.float64)
        usable = (written > 0) & (read > 0)
        factors = np.ones_like(read)
        factors[usable] = np.sqrt(written[usable] / read[usable])
        return Scaling(factors.astype(np.float32))


@dataclass(frozen=True)
class Center(Transform):
    """Take the middle of its range off each input channel; the bias gives it back.

    Source: the shift of Outlier Suppression+ (Wei et al., 2023).
    """

    name: ClassVar[str] = "center"

    def fit(self, reading: Reading) -> Step:
        """The shift of each input channel."""
        found = reading.known(self.name)
        return Shift(0.5 * (found.low + found.high))
