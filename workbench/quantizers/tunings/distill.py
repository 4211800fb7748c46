"""Distillation: a quantized model's free numbers trained until it gives what the float one gives.

Published methods are choices of what is trained and what is compared: norms and biases (Hubara et
al., 2021), scales with them (Guo et al., 2024), channel factors, clips and static ranges (Tan et
al., 2024), low-rank factors (Chai et al., 2023), the likeliest tokens (Hu et al., 2025).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...errors import WorkbenchError, unknown
from .base import Tuning

TRAINED = ("channels", "clips", "ranges", "scales", "norms", "biases", "low_rank")
ANEW = ("channels", "clips")  # these choose codes again
LOSSES = ("mse", "kl", "kl_top")


@dataclass(frozen=True)
class Distill(Tuning):
    """Train some of what is left free, end to end, towards what the float model gives.

    Args:
        train: a sum of these words, such as "norms+biases":
            channels: one positive factor an input channel, divided out of a layer's inputs and
            multiplied into its weight, which is then rounded to nearest;
            clips: the share of its range that each block of a weight keeps, the weight rounded to
            nearest under it;
            ranges: the scale, and zero point or mean, of inputs with static ranges;
            scales: the scales, and means, of weights whose codes stay;
            norms: the gains and shifts of norms;
            biases: of the quantized layers, from zero where a layer has none;
            low_rank: the factors of a low-rank correction.
        loss: "mse" of the last hidden states (of what the model gives, where it has no head), "kl"
            of its predictions, or "kl_top", over the float model's likeliest tokens only.
        steps: of Adam, one batch each.
        rate: of its first step; it falls to zero as half a cosine. Channels move at five times
            the rate, clips at ten times.
        top: of "kl_top", how many tokens count; at most all do.

    Words that are unknown or do not go together, and counts below one, raise `WorkbenchError`.

    Example:
        >>> Distill("biases+norms").train, str(Distill(steps=50))
        ('norms+biases', 'distill(steps=50)')
    """

    train: str = "norms+biases"
    loss: str = "mse"
    steps: int = 200
    rate: float = 0.001
    top: int = 1000
    name: ClassVar[str] = "distill"

    def __post_init__(self):
        given = [word.strip() for word in self.train.split("+")]
        for word in given:
            if word not in TRAINED:
                raise unknown("thing to train", word, TRAINED)
        if self.loss not in LOSSES:
            raise unknown("loss", self.loss, LOSSES)
        object.__setattr__(self, "train", "+".join(w for w in TRAINED if w in given))
        if "scales" in given and set(ANEW) & set(given):
            raise WorkbenchError(
                str(self), "scales are learned for codes that stay, the others choose codes anew",
                "leave scales out, or train scales alone",
            )  # fmt: skip
        if not (self.steps >= 1 and self.rate > 0 and self.top >= 1):
            raise WorkbenchError(
                str(self), "steps and top are counts from 1, and the rate is above 0",
                "write distill(steps=200,rate=0.001,top=1000)",
            )  # fmt: skip

    @property
    def trained(self) -> tuple[str, ...]:
        """The words of `train`, in their usual order."""
        return tuple(self.train.split("+"))
