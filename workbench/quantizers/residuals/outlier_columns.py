"""Input channels that go past the quantized product: those with outliers, or those named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...costs import Added
from ...errors import WorkbenchError
from .base import Correction, Remainder, Residual

KEPT = ("float", "quantized")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True, eq=False)
class Columns(Correction):
    """Input channels that are multiplied in 16 bits.

    Attributes:
        columns: float32 (outputs, features), the weight that they meet.
        stored: bytes of it beside the quantized weight.
    """

    columns: np.ndarray
    stored: int

    @property
    def nbytes(self) -> int:
        """Bytes of the weight that is stored for it."""
        return self.stored

    def found(self, x: np.ndarray) -> np.ndarray:
        """The channels of (rows, features) inputs that are meant, ascending."""
        raise NotImplementedError

    def split(self, x):
        """The inputs without those channels, and what the channels give, as float16 inputs."""
        at = self.found(x)
        rest = x.copy()
        rest[:, at] = 0
        return rest, x[:, at].astype(np.float16).astype(np.float32) @ self.columns[:, at].T


@dataclass(frozen=True, eq=False)
class Large(Columns):
    """Channels that hold a value of `threshold` or more in this batch."""

    threshold: float

    def found(self, x):
        """Those channels."""
        return np.flatnonzero((np.abs(x) >= self.threshold).any(axis=0))


@dataclass(frozen=True, eq=False)
class Chosen(Columns):
    """Channels that are known beforehand, int64, ascending."""

    channels: np.ndarray

    def found(self, x):
        """Those channels."""
        return self.channels


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

    def added(self, outputs: int, features: int) -> Added:
        """The 16-bit weight of all channels, of which a step reads the few that it meets."""
        copied = 2 * outputs * features if self.weights == "float" else 0
        return Added(copied, idle=copied)

    def fit(self, remainder: Remainder) -> Columns:
        """The weight that outliers meet."""
        if self.weights == "quantized":
            return Large(remainder.quantized - remainder.added, 0, self.threshold)
        kept = _halves(remainder.weight - remainder.added)
        return Large(kept, int(self.added(*kept.shape).bytes), self.threshold)


@dataclass(frozen=True)
class KeptColumns(Residual):
    """The input channels that are named stay in 16 bits, whatever they hold.

    Args:
        columns: their numbers, such as "507+1229" or "16-31"; "" for none.

    Example:
        >>> KeptColumns("7+2-4").numbers.tolist()
        [2, 3, 4, 7]
    """

    columns: str = ""
    name: ClassVar[str] = "kept_columns"

    def __post_init__(self):
        self._read()

    @property
    def numbers(self) -> np.ndarray:
        """The channels, int64, ascending."""
        return np.array(sorted(set(self._read())), np.int64)

    def _read(self) -> list[int]:
        numbers: list[int] = []
        for text in filter(None, self.columns.split("+")):
            match = _RANGE.fullmatch(text)
            if match is None or int(match[2] or match[1]) < int(match[1]):
                raise WorkbenchError(
                    str(self), f"{text!r} is neither a channel nor a range of them",
                    "write kept_columns(columns=507+16-31)",
                )  # fmt: skip
            numbers += range(int(match[1]), int(match[2] or match[1]) + 1)
        return numbers

    def added(self, outputs: int, features: int) -> Added:
        """The 16-bit weight of those channels, and their numbers."""
        return Added(self.numbers.size * (2 * outputs + 4))

    def fit(self, remainder: Remainder) -> Columns:
        """The weight of those channels, which is stored with their numbers."""
        outputs, features = remainder.weight.shape
        numbers = self.numbers
        beyond = numbers[numbers >= features]
        if beyond.size:
            raise WorkbenchError(
                f"channel {beyond[0]}", f"the layer has {features} input channels",
                f"write 0 to {features - 1}",
            )  # fmt: skip
        stored = int(self.added(outputs, features).bytes)
        return Chosen(_halves(remainder.weight - remainder.added), stored, numbers)


def _halves(weight: np.ndarray) -> np.ndarray:
    return weight.astype(np.float16).astype(np.float32)
