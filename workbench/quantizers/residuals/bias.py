"""The mean error of each output, taken off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...costs import Added
from .base import Correction, Remainder, Residual


@dataclass(frozen=True, eq=False)
class Constant(Correction):
    """A constant added to each output, float32 (outputs,); it goes into the bias."""

    values: np.ndarray

    @property
    def nbytes(self) -> int:
        """Bytes of the constants."""
        return self.values.nbytes

    def split(self, x):
        """All inputs, and the constants."""
        return x, self.values


@dataclass(frozen=True)
class BiasCorrection(Residual):
    """Give each output back the mean that quantization took from it on the calibration's sample.

    Source: Nagel et al., 2019.
    """

    name: ClassVar[str] = "bias_correction"

    def added(self, outputs: int, features: int) -> Added:
        """A constant an output, which goes into the bias."""
        return Added(4 * outputs, outputs)

    def fit(self, remainder: Remainder) -> Constant:
        """The mean error of each output."""
        rows = remainder.known(self.name).rows
        before = rows.mean(axis=0, dtype=np.float64) @ remainder.weight.T.astype(np.float64)
        rounded = remainder.rounded(rows).mean(axis=0, dtype=np.float64)
        after = rounded @ remainder.quantized.T.astype(np.float64) + remainder.bias
        return Constant((before - after).astype(np.float32))
