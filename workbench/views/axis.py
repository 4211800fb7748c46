"""The value axis: symmetric log in powers of two, because that is where formats live.

Plotly has no such axis, so positions are transformed here and the ticks say the true values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from .style import power


@dataclass(frozen=True)
class ValueAxis:
    """Where values are drawn: linear from 0 to `2**linear`, then one unit an octave, both signs.

    Args:
        low, high: the values at the two ends, finite, low < high.
        linear: exponent of the value up to which the axis is linear.
        kind: "symlog2" or "linear".

    Example:
        >>> ValueAxis(-8.0, 8.0, linear=-1).position([0.25, 0.5, 1.0, 8.0])
        array([0.5, 1. , 2. , 5. ])
    """

    low: float
    high: float
    linear: int = -10
    kind: str = "symlog2"

    def __post_init__(self):
        if self.kind not in ("symlog2", "linear"):
            raise WorkbenchError(
                f"axis {self.kind!r}", "a value axis is symlog2 or linear", "write 'symlog2'"
            )
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise WorkbenchError(
                f"an axis from {self.low} to {self.high}",
                "its ends are finite and the first is the smaller",
                "write for example (-1.0, 1.0)",
            )

    def position(self, values: Any) -> np.ndarray:
        """The place of each value along the axis, float64; NaN stays NaN."""
        x = np.asarray(values, np.float64)
        if self.kind == "linear":
            return x
        scaled = np.abs(x) * 2.0**-self.linear
        with np.errstate(divide="ignore", invalid="ignore"):
            far = 1 + np.log2(scaled)
        return np.copysign(np.where(scaled <= 1, scaled, far), x)

    def value(self, positions: Any) -> np.ndarray:
        """The value at each place: the inverse of `position`.

        Example:
            >>> axis = ValueAxis(-8.0, 8.0, linear=-1)
            >>> axis.value(axis.position([-3.0, 0.1]))
            array([-3. ,  0.1])
        """
        t = np.asarray(positions, np.float64)
        if self.kind == "linear":
            return t
        size = np.abs(t)
        scaled = np.where(size <= 1, size, np.exp2(np.maximum(size, 1) - 1))
        return np.copysign(scaled * 2.0**self.linear, t)

    @property
    def range(self) -> tuple[float, float]:
        """The places of the two ends."""
        low, high = self.position([self.low, self.high])
        return float(low), float(high)

    def places(self, count: int) -> np.ndarray:
        """`count` even places from end to end."""
        return np.linspace(self.range[0], self.range[1], count)

    def samples(self, count: int) -> np.ndarray:
        """`count` values evenly placed along the axis."""
        return self.value(self.places(count))

    def ticks(self, most: int = 17) -> tuple[list[float], list[str]]:
        """Places and texts of at most about `most` ticks: 0 and powers of two of both signs."""
        if self.kind == "linear":
            return _linear_ticks(self.low, self.high, most)
        top = np.frexp(max(abs(self.low), abs(self.high)))[1] - 1
        sides = (self.low < 0) + (self.high > 0)
        every = next(
            step for step in (1, 2, 3, 4, 5, 6, 8, 10, 16, 32, 64, 128, 512, 2048)
            if sides * ((top - self.linear) // step + 1) + 1 <= most
        )  # fmt: skip
        exponents = [e for e in range(top, self.linear, -1) if e % every == 0]
        marks = [(0.0, "0")]
        for e in exponents:
            marks += [(2.0**e, power(e)), (-(2.0**e), "−" + power(e))]
        inside = sorted(mark for mark in marks if self.low <= mark[0] <= self.high)
        return [float(self.position(v)) for v, _ in inside], [text for _, text in inside]

    def layout(self, title: str = "", most: int = 17) -> dict[str, Any]:
        """The plotly axis: range, ticks, title."""
        places, texts = self.ticks(most)
        return {
            "range": list(self.range),
            "tickmode": "array",
            "tickvals": places,
            "ticktext": texts,
            "title": {"text": title},
            "zeroline": False,
        }


def axis_for(
    largest: float, typical: float, kind: str = "symlog2", signed: bool = True
) -> ValueAxis:
    """An axis that shows data of that largest and typical magnitude, both positive.

    The linear part begins ten octaves under the typical magnitude at most, so that a few tiny
    values do not take the whole picture.

    Example:
        >>> axis_for(1.0, 0.05)
        ValueAxis(low=-1.25, high=1.25, linear=-11, kind='symlog2')
    """
    largest = largest if np.isfinite(largest) and largest > 0 else 1.0
    typical = typical if np.isfinite(typical) and 0 < typical <= largest else largest / 8
    linear = int(np.clip(np.floor(np.log2(typical)) - 6, -1000, 1000))
    high = 1.25 * largest
    return ValueAxis(-high if signed else 0.0, high, linear, kind)


def _linear_ticks(low: float, high: float, most: int) -> tuple[list[float], list[str]]:
    """Multiples of a power of two, which formats can hold, where plotly would choose decimals."""
    step = 2.0 ** np.ceil(np.log2((high - low) / most))
    places = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return [float(p) for p in places], [f"{p:.6g}".replace("-", "−") for p in places]


def number(value: float, digits: int = 4) -> str:
    """A value as a person reads it: `digits` significant digits and a true minus sign.

    Example:
        >>> number(-0.00012207), number(448.0), number(float("inf"))
        ('−0.0001221', '448', '∞')
    """
    if np.isnan(value):
        return "NaN"
    text = "∞" if np.isinf(value) else f"{abs(value):.{digits}g}"
    return ("−" if value < 0 else "") + text
