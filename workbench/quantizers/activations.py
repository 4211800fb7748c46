"""Rounding what a layer is given: ranges found as the values come, or beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import WorkbenchError
from ..schemes import Scheme, parse
from ..schemes.fitted import Region
from .calibration import Calibration

STATIC = ("tensor", "channel")


@dataclass(frozen=True, eq=False)
class Activations:
    """Rounds (rows, features) inputs under a scheme.

    `tensor` is one scale for all rows that come together, `token` one a row, `channel` one a
    feature; groups and blocks run along the features.

    Attributes:
        scheme: what inputs are rounded under.
        fixed: its scales where they were found beforehand; None where they are found anew.
    """

    scheme: Scheme
    fixed: Region | None = None

    @classmethod
    def of(cls, text: str, static: bool = False, calibration: Calibration | None = None):
        """The rounding under a scheme's text, with ranges from `calibration` where `static`.

        The full range is that of all rows; percentiles and searches look at the sample.
        """
        scheme = parse(text)
        if not static or scheme.scale is None:
            return cls(scheme)
        if scheme.scale.granularity not in STATIC:
            raise WorkbenchError(
                f"static {text}", "a range of single rows is not known beforehand",
                "write int8/tensor or int8/channel, or leave static out",
            )  # fmt: skip
        if calibration is None:
            raise WorkbenchError(
                f"static {text}", "its range comes from inputs, and none were given",
                "pass a calibration",
            )  # fmt: skip
        full = scheme.scale.range.kind == "absmax"
        seen = np.stack([calibration.low, calibration.high]) if full else calibration.rows
        fitted = scheme.fit(seen, cls._axis(scheme))
        parts = (None if each is None else each.reshape(1, -1)
                 for each in (fitted.scales, fitted.zeros))  # fmt: skip
        return cls(scheme, Region(scheme, *parts))

    @staticmethod
    def _axis(scheme: Scheme) -> int:
        """The axis along which inputs share scales: rows share that of a channel."""
        return 0 if scheme.scale is not None and scheme.scale.granularity == "channel" else -1

    def round(self, x: np.ndarray) -> np.ndarray:
        """The inputs as the layer multiplies them, float32 (rows, features).

        Example:
            >>> Activations.of("int4/token").round(np.array([[7.0, 0.6], [70.0, 6.0]], np.float32))
            array([[ 7.,  1.],
                   [70., 10.]], dtype=float32)
        """
        if self.fixed is None:
            return self.scheme.round(x, axis=self._axis(self.scheme))
        return self.fixed.round(x).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Rounding:
    """What a recipe rounds a layer's operands under, for parts that look ahead at it.

    Attributes:
        weights: the scheme of the weights, or "" where they stay float.
        activations: the scheme of the inputs, or "".
        static: whether the inputs' ranges are found beforehand.

    Example:
        >>> plan = Rounding("int2/channel", "int4/token")
        >>> plan.weight(np.float32([[1.0, 0.4]])), plan.inputs(np.float32([[7.0, 0.6]]))
        (array([[1., 0.]], dtype=float32), array([[7., 1.]], dtype=float32))
    """

    weights: str = ""
    activations: str = ""
    static: bool = False

    def weight(self, w: np.ndarray) -> np.ndarray:
        """A weight at the nearest values of its scheme, float32 (outputs, features)."""
        return parse(self.weights).round(w) if self.weights else w

    def inputs(self, x: np.ndarray, calibration: Calibration | None = None) -> np.ndarray:
        """Inputs as they will be multiplied, float32 (rows, features).

        Args:
            x: the rows.
            calibration: what static ranges come from; None takes them from these rows.
        """
        if not self.activations:
            return x
        known = Calibration.of(x) if self.static and calibration is None else calibration
        return Activations.of(self.activations, self.static, known).round(x)


NOTHING = Rounding()
