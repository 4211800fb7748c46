"""What a transform is: from weights and calibration, one step of a rewrite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ..activations import NOTHING, Rounding
from ..calibration import Calibration
from ..parts import Part
from ..rewrites import Step


@dataclass(frozen=True)
class Reading:
    """What a transform looks at: everything that reads the same inputs.

    Attributes:
        weight: float32 (outputs, features), the rows of all layers that read them.
        calibration: of the inputs, or None where nothing is known of them.
        producer: float32 (features, more), the weights that write the inputs, row by channel; or
            None where something else stands between.
        seed: for what is drawn.
        rounding: what the rewritten operands will be rounded under.
    """

    weight: np.ndarray
    calibration: Calibration | None
    producer: np.ndarray | None = None
    seed: int = 0
    rounding: Rounding = NOTHING

    def known(self, name: str) -> Calibration:
        """The calibration, where the transform called `name` cannot do without."""
        if self.calibration is None:
            raise WorkbenchError(
                name, "it looks at a layer's inputs, and none were given", "pass a calibration"
            )
        return self.calibration


class Transform(Part):
    """A way to choose a rewrite."""

    kind: ClassVar[str] = "transform"

    def fit(self, reading: Reading) -> Step:
        """The step for these weights and inputs."""
        raise NotImplementedError
