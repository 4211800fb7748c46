"""What quantizing a tensor costs: its squared error, how certain, and from which causes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ..formats import Format

CAUSES = ("rounding", "clipping", "underflow", "scale")


@dataclass(frozen=True)
class ErrorReport:
    """The error of one tensor under one scheme; all figures over its finite values.

    Args:
        n: how many finite values there are.
        signal: their mean square.
        mse: the mean squared error.
        max_error: the largest error of one value (from a sketch: what it cannot exceed).
        causes: the shares of the mse in the same unit, which add up to it: `clipping` of values
            beyond the format's range, `underflow` of values that became zero, `rounding` of all
            others as it would be with unrounded float32 scales, and `scale`, what rounding the
            scale added (negative where it helped).
        bound: half-width in dB of the interval around `sqnr` that holds the exact figure; 0: exact.
        provenance: "exact", "sketch" or "sample".
        n_nan, n_inf: values left out of all figures.

    A finite value that the scheme turns into NaN or an infinity has an infinite error by clipping.
    No values, or none but zeros, give mse 0.

    Example:
        >>> report = ErrorReport(4, 1.0, 0.01, 0.2, {"rounding": 0.01})
        >>> round(report.sqnr, 6), round(report.relative_error, 6)
        (20.0, 0.1)
    """

    n: int
    signal: float
    mse: float
    max_error: float
    causes: dict[str, float] = field(hash=False)
    bound: float = 0.0
    provenance: str = "exact"
    n_nan: int = 0
    n_inf: int = 0

    @property
    def sqnr(self) -> float:
        """Signal-to-quantization-noise ratio in dB; +inf without error, -inf without signal."""
        return decibels(self.signal, self.mse)

    @property
    def effective_bits(self) -> float:
        """Bits of an ideal uniform quantizer of a full-scale sine with this SQNR.

        It is (sqnr - 1.76) / 6.02, the ENOB of IEEE Std 1241.
        """
        return (self.sqnr - 1.76) / 6.02

    @property
    def relative_error(self) -> float:
        """The root of mse / signal: 0 without error, inf where only the signal is 0."""
        if self.mse == 0:
            return 0.0
        return math.sqrt(self.mse / self.signal) if self.signal else math.inf

    @property
    def interval(self) -> tuple[float, float]:
        """The SQNR's lower and upper end in dB."""
        if math.isinf(self.sqnr):
            return self.sqnr, self.sqnr
        return self.sqnr - self.bound, self.sqnr + self.bound


def decibels(signal: float, mse: float) -> float:
    """10 log10(signal / mse) in dB; +inf for no error, -inf for an error without signal.

    Example:
        >>> decibels(1.0, 0.001), decibels(0.0, 0.0)
        (30.0, inf)
    """
    if mse == 0:
        return math.inf
    if signal == 0 or math.isinf(mse):
        return -math.inf
    return 10 * math.log10(signal / mse)


def clip_limits(format: Format) -> tuple[float, float]:
    """Where clipping begins, below and above, in the format's own units.

    A value is clipped when it lies further beyond the largest (or most negative) value than half
    the last step: there the format would have used its next value, had it one more. A format
    of one value would have no step; there the value itself is the limit.

    Example:
        >>> import workbench as wb
        >>> clip_limits(wb.format("e2m1")), clip_limits(wb.format("int4"))
        ((-7.0, 7.0), (-8.5, 7.5))
    """
    values = format.values
    if values.size < 2:
        return float(values[0]), float(values[-1])
    steps = np.diff(values)
    return float(values[0] - steps[0] / 2), float(values[-1] + steps[-1] / 2)


__all__ = ["CAUSES", "ErrorReport", "clip_limits", "decibels"]
