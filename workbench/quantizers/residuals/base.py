"""What a residual is: from a layer and its quantized weight, a correction of its outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...costs import Added
from ...errors import WorkbenchError
from ..calibration import Calibration
from ..parts import Part


@dataclass(frozen=True, eq=False)
class Remainder:
    """What a residual makes up for.

    Attributes:
        weight: float32 (outputs, features), as the layer would have it.
        quantized: float32, as it has it, with the residuals so far.
        calibration: of the inputs, or None.
        rounded: rounds inputs as the layer will.
        bias: what the solver has added to the bias, float32 (outputs,), or 0.
        added: the part of `quantized` that comes from the residuals so far, or 0; channels that
            are taken out of the quantized product still have it.
    """

    weight: np.ndarray
    quantized: np.ndarray
    calibration: Calibration | None
    rounded: Callable[[np.ndarray], np.ndarray]
    bias: np.ndarray | float = 0.0
    added: np.ndarray | float = 0.0

    def known(self, name: str) -> Calibration:
        """The calibration, where the residual called `name` cannot do without."""
        if self.calibration is None:
            raise WorkbenchError(
                name, "it looks at a layer's inputs, and none were given", "pass a calibration"
            )
        return self.calibration


class Correction:
    """What a layer does beside its quantized product."""

    @property
    def nbytes(self) -> int:
        """Bytes that it stores."""
        return 0

    def split(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        """The inputs that are left for the quantized product, and what to add to its outputs.

        Args:
            x: float32 (rows, features), rewritten and not yet rounded.
        """
        raise NotImplementedError

    def weight(self) -> np.ndarray | float:
        """What the correction is as a matrix added to the weight; 0 where it is none."""
        return 0.0


class Residual(Part):
    """A way to correct a quantized layer."""

    kind: ClassVar[str] = "residual"

    def fit(self, remainder: Remainder) -> Correction:
        """The correction of a layer."""
        raise NotImplementedError

    def added(self, outputs: int, features: int) -> Added:
        """What it stores and computes, known before it is fitted."""
        raise NotImplementedError
