"""A scheme: a format and how reals are scaled onto it; rounding and quantizing start here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import WorkbenchError
from ..formats import FloatFormat, Format, IntegerFormat, MixtureFormat, PositFormat
from .layout import Layout
from .scale import RULES, Scale, ScaleFormat

if TYPE_CHECKING:
    from ..kernels.scales import ScaleRule
    from .fitted import Fitted
    from .quantized import QuantizedTensor


@dataclass(frozen=True)
class Scheme:
    """A format with a scale (or none: a plain cast), written as one spec string.

    Finite values beyond the range of a scaled format saturate, whatever the format does on its own.
    NaN stays NaN; infinities become the largest value, except where the scale format has a NaN of
    its own and no float32 level (e8m0): there a block that holds NaN or an infinity becomes NaN, as
    the OCP standard says. Elsewhere the range is taken from the finite values.

    Example:
        >>> import workbench as wb
        >>> wb.scheme("int4/g4").round([7.0, -1.2, 3.4, 0.0])
        array([ 7., -1.,  3.,  0.])
    """

    format: Format
    scale: Scale | None = None

    def __post_init__(self):
        if self.scale is None:
            return
        if self.scale.zero_point and self.format.family != "integer":
            raise WorkbenchError(
                f"a zero point for {self.format}",
                "a zero point is an integer code, so the format must be an integer",
                "write int4/g128+zp",
            )
        if self.format.family == "mixture" and (self.scale.has_whole or self.scale.mean):
            raise WorkbenchError(
                f"{'a mean' if self.scale.mean else 'two scale levels'} for {self.format}",
                "beside its scale a block stores which grid it chose, and no more",
                f"write {self.format}/g128*f16",
            )
        if self.format.family == "exponent":
            raise WorkbenchError(
                f"{self.format} with a scale", "it has no zero and no sign", "use it as a scale"
            )

    def __str__(self) -> str:
        return f"{self.format}{'' if self.scale is None else self.scale}"

    @cached_property
    def name(self) -> str:
        """The short name where there is one (`mxfp4`), else the spec string."""
        from .grammar import NAMES

        short = (n for n, text in NAMES.items() if text == str(self))
        return next(short, str(self))

    @property
    def family(self) -> str:
        """The family that views colour by: int, float, mx, nvfp or codebook."""
        if self.scale is not None and self.scale.granularity == "group":
            if self.scale.levels[0].name == "e8m0":
                return "mx"
            if self.scale.two_level and self.format.family == "float":
                return "nvfp"
        return {"integer": "int", "fixed": "int", "codebook": "codebook"}.get(
            self.format.family, "float"
        )

    @cached_property
    def element(self) -> Format:
        """The format that scaled values are rounded to: it saturates."""
        if isinstance(self.format, FloatFormat | PositFormat) and self.scale is not None:
            return replace(self.format, overflow="saturate")
        return self.format

    @cached_property
    def parts(self) -> tuple[Scheme, ...]:
        """Of a mixture, the schemes that every block chooses among; else none."""
        if not isinstance(self.format, MixtureFormat):
            return ()
        return tuple(Scheme(part, self.scale) for part in self.format.parts)

    @cached_property
    def unrounded(self) -> Scheme:
        """The scheme with float32 scales as they come, before they are stored."""
        return replace(self, scale=replace(self.scale, levels=(ScaleFormat(),)))

    @property
    def extra_bits(self) -> int:
        """Bits that a block stores beside its scale: zero point, mean, or which grid it chose."""
        if isinstance(self.format, MixtureFormat):
            return self.format.choice_bits
        if self.scale is None:
            return 0
        return 32 if self.scale.mean else self.format.bits * self.scale.zero_point

    @cached_property
    def largest(self) -> float:
        """The value that a block's largest magnitude is brought to."""
        return self.element.reach

    @property
    def code_range(self) -> tuple[int, int]:
        """The smallest and the largest integer code of an integer format."""
        integer = cast(IntegerFormat, self.format)
        return integer.low_code, integer.high_code

    def rule(self, whole: float = 1.0) -> ScaleRule:
        """The kernel's rule for a block's scale; `whole` is the tensor's scale of two levels.

        Where a block's scale follows from its row's as well, there is none: a `WorkbenchError`.
        """
        if self.scale.row_ratios:
            raise WorkbenchError(
                str(self), "a scale depends on the other blocks of its row, not on its own alone",
                "use scheme.fit(x), or wb.metrics.error(x, scheme), which is exact",
            )  # fmt: skip
        return self._rule if whole == 1 else self._rule._replace(whole=np.float32(whole))

    @cached_property
    def _rule(self) -> ScaleRule:
        from ..kernels.elements import no_fast_float
        from ..kernels.scales import EXACT, POWER_OF_TWO, ROUNDED, ScaleRule

        level = self.scale.levels[0]
        kind = POWER_OF_TWO if level.is_power else EXACT if level.name == "f32" else ROUNDED
        stored = _saturating(level.format) if kind == ROUNDED else None
        low, high = (-127, 127) if level.name == "e8m0" else (-126, 127)
        return ScaleRule(
            kind=np.int32(kind),
            rule=np.int32(RULES.index(level.rule) if level.rule else 0),
            q=np.float32(self.largest),
            q_exponent=np.int32(np.frexp(self.largest)[1] - 1),
            even_bit=np.int32(1 << (22 - self._mantissa_bits)),
            low=np.int32(low),
            high=np.int32(high),
            format=stored.rounder.fast if stored else no_fast_float(),
            smallest=np.float32(stored.smallest if stored else 0),
            whole=np.float32(1),
            poison=np.bool_(level.name == "e8m0"),
        )

    @property
    def _mantissa_bits(self) -> int:
        """Mantissa bits of the element's largest values, for the rule `even`."""
        if isinstance(self.element, FloatFormat):
            return self.element.mantissa
        return min(22, max(0, int(np.log2(self.largest / self._last_step))))

    @property
    def _last_step(self) -> float:
        values = self.element.values
        return float(values[-1] - values[-2])

    def round(
        self,
        x: Any,
        axis: int = -1,
        out: Any = None,
        rounding: str = "nearest_even",
        seed: int = 0,
    ) -> Any:
        """Quantize and dequantize in one pass: every value as it would come back.

        Args:
            x: array or tensor of any shape, float16, bfloat16, float32 or float64.
            axis: the axis along which values share scales; -1 suits weights (out, in) and
                activations (tokens, features).
            out: where to write, of the result's shape and dtype; may be `x`.
            rounding: one of `formats.ROUNDINGS`.
            seed: for the stochastic modes.

        Returns:
            What `x` was, float32 or float64.

        Example:
            >>> import workbench as wb
            >>> wb.scheme("mxfp4").round([1.0, 5.0, 7.0])
            array([1., 4., 6.])
        """
        from ..kernels import arrays
        from . import apply

        if self.scale is None:
            return self.format.round(x, rounding, seed, out)
        if arrays.on_device(x):
            from . import device

            return device.round(self, x, axis, out, rounding, seed)
        values = arrays.to_numpy(x)
        result = arrays.output_for(values, out)
        apply.round_into(self, values, result, axis, rounding, seed)
        return out if out is not None else arrays.like(x, result)

    def quantize(
        self, x: Any, axis: int = -1, rounding: str = "nearest_even", seed: int = 0
    ) -> QuantizedTensor:
        """Bit-packed codes and scales of `x`; `.dequantize()` gives what `round` gives.

        NaN in a format without NaN raises `WorkbenchError`, as codes could not say it.

        Example:
            >>> import workbench as wb
            >>> wb.scheme("int4/g128").quantize([1.0, -0.5]).bits_per_value
            20.0
        """
        from .quantized import quantize

        return quantize(self, x, axis, rounding, seed)

    def fit(self, x: Any, axis: int = -1, whole: float | np.ndarray | None = None) -> Fitted:
        """The scheme with the scales of `x` chosen, to round with them again and again.

        Args:
            x: array or tensor on the CPU.
            axis: the axis along which values share scales.
            whole: the tensor's own scale of two levels, or float32 (rows, 1) those of the rows
                where blocks are tied to them, where `x` is a part of that tensor.

        Example:
            >>> import workbench as wb
            >>> wb.scheme("int8/tensor").fit([1.27]).round(np.array([0.014]))
            array([0.01])
        """
        from ..kernels import arrays
        from .fitted import fit

        return fit(self, arrays.to_numpy(x), axis, whole)

    def bits_per_value(self, shape: tuple[int, ...], axis: int = -1) -> float:
        """Stored bits a value for an array of `shape`: codes, scales and zero points.

        Example:
            >>> import workbench as wb
            >>> wb.scheme("mxfp4").bits_per_value((4096, 4096))
            4.25
        """
        count = int(np.prod(shape))
        if count == 0:
            return 0.0
        if self.scale is None:
            return float(self.format.bits)
        layout = Layout.of(tuple(shape), axis, self.scale)
        blocks = int(np.prod(layout.scale_shape))
        each = self.scale.levels[0].bits + self.extra_bits
        wholes = layout.rows if self.scale.row_ratios else int(self.scale.two_level)
        return self.format.bits + (blocks * each + 32 * wholes) / count


def _saturating(format: Format | None) -> FloatFormat:
    """A float scale format that saturates, whatever it does on its own."""
    assert isinstance(format, FloatFormat)
    return format if format.name == "bf16" else replace(format, overflow="saturate")
