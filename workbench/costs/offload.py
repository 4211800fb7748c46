"""Training with weights and optimizer on a drive: bytes over each link, and what to swap.

A step reads every 16-bit weight twice, forward and back, sends the gradients to the host, and has
the moments and the float32 copy read and written by the optimizer. Activations are kept on the
drive, or computed once more. Source: the budget of Fuyou (Liao et al., 2024), with overlapping
links and full duplex.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import WorkbenchError
from .operations import OPTIMIZER_READ, OPTIMIZER_WRITTEN

WEIGHT, GRADIENT = 2, 2  # bytes of a 16-bit number


@dataclass(frozen=True)
class Offload:
    """One step of training that is larger than the memory of its device.

    Args:
        parameters: weights.
        forward: operations of a forward pass; back takes two of them.
        activations: bytes that the backward pass needs of the forward one.
        peak: operations a second.
        link: bytes a second of the link to the host, each way.
        read, write: bytes a second of the drive.

    Sizes that are not above 0 raise `WorkbenchError`.

    Example:
        >>> step = Offload(13e9, 2 * 13e9 * 8192, 200e9, 165e12, 25e9, 24e9, 12e9)
        >>> round(step.best, 2), step.time(step.best) <= min(step.time(0.0), step.time(1.0))
        (0.0, True)
    """

    parameters: float
    forward: float
    activations: float
    peak: float
    link: float
    read: float
    write: float

    def __post_init__(self):
        for name, value in vars(self).items():
            if not value > 0:
                raise WorkbenchError(f"{name} {value}", "a step has some of it", f"write {name}=1")

    def traffic(self, swapped: float) -> dict[str, float]:
        """Bytes by way: to the device and back over the link, read from the drive and written.

        Args:
            swapped: the share of activations that is kept on the drive; the rest is computed anew.
        """
        _check(swapped)
        kept, weights = swapped * self.activations, 2 * WEIGHT * self.parameters
        return {
            "to the device": weights + kept,
            "to the host": GRADIENT * self.parameters + kept,
            "read": weights + OPTIMIZER_READ * self.parameters + kept,
            "write": OPTIMIZER_WRITTEN * self.parameters + kept,
        }

    def seconds(self, swapped: float) -> dict[str, float]:
        """What each part takes: computing, both ways of the link, and the drive."""
        moved = self.traffic(swapped)
        return {
            "compute": (3 + 1 - swapped) * self.forward / self.peak,
            "to the device": moved["to the device"] / self.link,
            "to the host": moved["to the host"] / self.link,
            "drive": moved["read"] / self.read + moved["write"] / self.write,
        }

    def time(self, swapped: float, overlapped: bool = True) -> float:
        """Seconds of a step: the longest part where all overlap, else all of them."""
        parts = self.seconds(swapped).values()
        return max(parts) if overlapped else sum(parts)

    @property
    def best(self) -> float:
        """The share to swap: where computing less and moving more take as long.

        Computing falls along a line, every other part rises along one: the least of their maximum
        is at an end, or where the first meets one of the others.
        """
        none, all_of = self.seconds(0.0), self.seconds(1.0)
        fall = none["compute"] - all_of["compute"]
        places = {0.0, 1.0}
        for name in ("to the device", "to the host", "drive"):
            slope = all_of[name] - none[name] + fall
            places.add(min(max((none["compute"] - none[name]) / slope, 0.0), 1.0))
        return min(sorted(places), key=self.time)

    @property
    def bound(self) -> str:
        """What takes longest at the best share."""
        parts = self.seconds(self.best)
        return max(parts, key=parts.__getitem__)


def _check(swapped: float) -> None:
    if not 0 <= swapped <= 1:
        raise WorkbenchError(f"swapped {swapped:g}", "it is a share", "write 0 to 1")
