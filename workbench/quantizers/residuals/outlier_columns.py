"""LLM.int8(): input channels with outliers go past the quantized product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from .base import Correction, Remainder, Residual

KEPT = ("float", "quantized")


@dataclass(frozen=True, eq=False)
class Columns(Correction):
    """Input channels that hold a large value in this batch are multiplied in 16 bits.

    Attributes:
        threshold: a magnitude from which on a value is an outlier.
        columns: float32 (outputs, features), the weight that they meet.
        stored: whether they are stored beside the quantized weight, in 16 bits each.
    """

    threshold: float
    columns: np.ndarray
    stored: bool

    @property
    def nbytes(self) -> int:
        """Bytes of a stored 16-bit weight; 0 where the quantized one serves."""
        return 2 * self.columns.size if self.stored else 0

    def found(self, x: np.ndarray) -> np.ndarray:
        """The channels of (rows, features) inputs that hold an outlier, ascending."""
        return np.flatnonzero((np.abs(x) >= self.threshold).any(axis=0))

    def split(self, x):
        """The inputs without those channels, and what the channels give, as float16 inputs."""
        at = self.found(x)
        rest = x.copy()
        rest[:, at] = 0
        return rest, x[:, at].astype(np.float16).astype(np.float32) @ self.columns[:, at].T


@dataclass(frozen=True)
class OutlierColumns(Residual):
    """Channels with an input of `threshold` or more, anywhere in the batch, stay in 16 bits.

    Source: LLM.int8() (Dettmers et al., 2022), which multiplies them with 16-bit weights; the
    library's inference takes the dequantized 8-bit weights instead.

    Args:
        threshold: a magnitude; 0 takes all channels.
        weights: "float" or "quantized".
    """

    threshold: float = 6.0
    weights: str = "float"
    name: ClassVar[str] = "outlier_columns"

    def __post_init__(self):
        if self.weights not in KEPT or not self.threshold >= 0:
            raise WorkbenchError(
                str(self), "outliers meet float or quantized weights, from a size of 0 on",
                "write outlier_columns(threshold=6, weights=float)",
            )  # fmt: skip

    def fit(self, remainder: Remainder) -> Columns:
        """The weight that outliers meet."""
        if self.weights == "quantized":
            return Columns(self.threshold, remainder.quantized, stored=False)
        kept = remainder.weight.astype(np.float16).astype(np.float32)
        return Columns(self.threshold, kept, stored=True)
