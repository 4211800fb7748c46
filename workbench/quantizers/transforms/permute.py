"""Orders of the channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ..rewrites import Permutation, Step
from .base import Reading, Transform

ORDERS = ("inputs", "weights")


@dataclass(frozen=True)
class Sort(Transform):
    """Channels by their size, so that those of a size share a block.

    Args:
        by: "inputs", the largest magnitude of each input channel, or "weights", the norm of each
            column.
    """

    by: str = "inputs"
    name: ClassVar[str] = "sort"

    def __post_init__(self):
        if self.by not in ORDERS:
            raise WorkbenchError(
                f"sort(by={self.by})", "channels have two sizes", "write sort(by=inputs)"
            )

    def fit(self, reading: Reading) -> Step:
        """The order, largest first; equals keep theirs."""
        if self.by == "inputs":
            size = reading.known(self.name).reach
        else:
            size = np.linalg.norm(reading.weight.astype(np.float64), axis=0)
        return Permutation(np.argsort(-size, kind="stable"))
