"""Powers of two of single channels, moved from the inputs' exponents into the weights'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ...formats import BiasedFormat, FloatFormat, bias_for, parse
from ..rewrites import Scaling, Step
from .base import Reading, Transform


@dataclass(frozen=True)
class ExponentShift(Transform):
    """Bring input channels up by whole octaves, as far as the exponents of their format reach.

    Each channel asks for the real exponent bias b that makes its largest magnitude the format's
    largest value; the smallest of them, r, stays the tensor's own, and the channel is multiplied
    by 2^k with k = clip(round(b), round(r), round(r) + 2^E - 1) - round(r). As k is whole, the
    inputs rounded under the bias k + r and the rewritten ones under r give the same. Channels that
    never carry anything are left alone. Source: the pre-shifted exponent bias of LLM-FP4 (Liu et
    al., 2023).

    Args:
        inputs: the float that inputs will be rounded to; only its exponent and mantissa count.

    Example:
        >>> from workbench.quantizers import Calibration
        >>> x = np.array([[96.0, 3.0, 0.1], [-6.0, 1.5, 0.0]], np.float32)
        >>> reading = Reading(np.ones((2, 3), np.float32), Calibration.of(x))
        >>> ExponentShift("e2m1").fit(reading).inputs(x)[0].tolist()
        [96.0, 24.0, 0.800000011920929]
    """

    inputs: str = "e2m1"
    name: ClassVar[str] = "exponent_shift"

    def __post_init__(self):
        object.__setattr__(self, "inputs", "e{}m{}".format(*self.split))

    @property
    def split(self) -> tuple[int, int]:
        """Bits of the exponent and of the mantissa."""
        found = parse(self.inputs)
        if not isinstance(found, FloatFormat | BiasedFormat) or not found.exponent:
            raise WorkbenchError(
                f"exponent_shift(inputs={self.inputs})", "it has no exponent to shift",
                "write exponent_shift(inputs=e2m1)",
            )  # fmt: skip
        return found.exponent, found.mantissa

    def octaves(self, reach: np.ndarray) -> np.ndarray:
        """How far each channel of this largest magnitude is brought up, float64 whole numbers.

        Example:
            >>> ExponentShift("e1m2").octaves(np.array([8.0, 4.0, 1.0, 0.0])).tolist()
            [0.0, 1.0, 1.0, 0.0]
        """
        alive = reach > 0
        biases = np.array([bias_for(*self.split, float(r)) for r in reach[alive]])
        least = np.rint(biases.min(initial=np.inf))
        octaves = np.zeros(reach.size)
        octaves[alive] = np.clip(np.rint(biases) - least, 0, 2 ** self.split[0] - 1)
        return octaves

    def fit(self, reading: Reading) -> Step:
        """The scaling of each input channel, by powers of two."""
        octaves = self.octaves(reading.known(self.name).reach)
        return Scaling(np.exp2(-octaves).astype(np.float32))
