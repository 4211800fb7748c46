"""How real values are brought onto a format: who shares a scale, how it is stored and chosen."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import WorkbenchError
from ..formats import FloatFormat, Format
from ..formats import parse as parse_format

GRANULARITIES = ("tensor", "channel", "token", "group", "tile")
POWERS = ("e8m0", "pow2")
RULES = ("floor", "ceil", "even", "rceil")  # in the order of the kernels' numbers
ROW_RULES = ("m2", "m2ceil")  # of powers of two under a row's own scale
_USUAL_RULE = {"e8m0": "floor", "pow2": "rceil"}


@dataclass(frozen=True)
class ScaleFormat:
    """What a scale is stored in: f32, a float format, e8m0, or any power of two.

    Args:
        name: "f32", "e8m0", "pow2", or the name of a float format up to 16 bits.
        rule: how a power of two is chosen: floor (OCP's; may clip), ceil, even, rceil. Of pow2
            also m2 and m2ceil: the largest scale of a row stays as it is, a float32, and its other
            groups have it over the power of two that is next below (m2; never clips) or next above
            the ratio (m2ceil). Source: the constraint M2 of ZeroQuant-FP (Wu et al., 2023), which
            leaves the direction open; its M1 is rceil, the usual rule of pow2.

    Example:
        >>> str(ScaleFormat("e8m0", "even")), ScaleFormat("f16").bits
        ('e8m0(even)', 16)
    """

    name: str = "f32"
    rule: str = ""

    def __post_init__(self):
        if self.name in POWERS:
            object.__setattr__(self, "rule", self.rule or _USUAL_RULE[self.name])
            if self.rule not in RULES + (ROW_RULES if self.name == "pow2" else ()):
                raise WorkbenchError(
                    f"{self.name}({self.rule})",
                    "a power-of-two scale is chosen by floor, ceil, even or rceil",
                    f"write {self.name} or {self.name}(even)",
                )
        elif self.rule:
            raise WorkbenchError(
                f"{self.name}({self.rule})", "only e8m0 and pow2 take a rule", f"write {self.name}"
            )

    def __str__(self) -> str:
        usual = self.rule == _USUAL_RULE.get(self.name, "")
        return self.name if usual else f"{self.name}({self.rule})"

    @property
    def is_power(self) -> bool:
        """Whether what a block stores is a power of two."""
        return self.name in POWERS

    @property
    def of_row(self) -> bool:
        """Whether that power of two is times a float32 of the row."""
        return self.rule in ROW_RULES

    @property
    def format(self) -> Format | None:
        """The number format of stored scales; None for f32 and pow2 (a signed byte)."""
        return None if self.name in ("f32", "pow2") else parse_format(self.name)

    @property
    def bits(self) -> int:
        """Bits a stored scale takes."""
        return {"f32": 32, "pow2": 8}.get(self.name) or self.format.bits


@dataclass(frozen=True)
class RangeChoice:
    """How a scale is chosen: absmax, percentile(p), mse search, absmean or std.

    `absmean` and `std` make the mean magnitude, or the standard deviation, one unit of the format,
    as ternary and binary weights and codes for a standard normal number ask for.

    Example:
        >>> str(RangeChoice("percentile", 99.9)), str(RangeChoice())
        ('percentile(99.9)', 'absmax')
    """

    kind: str = "absmax"
    percent: float | None = None

    def __post_init__(self):
        if self.kind == "percentile" and not 0 < (self.percent or 0) <= 100:
            raise WorkbenchError(
                f"percentile({self.percent})",
                "a percentile lies in (0, 100]",
                "write @percentile(99.9)",
            )

    def __str__(self) -> str:
        return f"percentile({self.percent:g})" if self.kind == "percentile" else self.kind


@dataclass(frozen=True)
class Scale:
    """One scale for all values of a tensor, channel, token, group of neighbours, or tile.

    Args:
        granularity: "tensor", "channel" (an index of the leading axis), "token" (a vector along
            the axis), "group" (`size` neighbours along the axis) or "tile" (rows x columns).
        size: the group's or tile's size.
        levels: the format of the stored scale, and where there are two, that of the tensor's.
        zero_point: an integer offset a scale, so that the range need not be symmetric.
        mean: the mean of the values that share a scale, a float32, is taken off and stored.
        range: how the range is chosen.
        word: "g" or "b", as it was written; the two mean the same.

    Example:
        >>> str(Scale("group", (32,), (ScaleFormat("e8m0"),)))
        '/g32*e8m0'
    """

    granularity: str = "tensor"
    size: tuple[int, ...] = ()
    levels: tuple[ScaleFormat, ...] = (ScaleFormat(),)
    zero_point: bool = False
    range: RangeChoice = RangeChoice()
    word: str = field(default="g", compare=False)
    mean: bool = False

    def __post_init__(self):
        if self.mean and (self.zero_point or len(self.levels) == 2):
            raise WorkbenchError(
                "a mean with a zero point or a second scale level",
                "each of them says where the range of a block lies",
                "write median2/channel+mean@std",
            )
        if any(n < 1 for n in self.size):
            raise WorkbenchError(
                f"a {self.granularity} of {' x '.join(map(str, self.size))} values",
                "a scale is shared by one value or more",
                "write g32 or t128x128",
            )
        if len(self.levels) == 2 and self.levels[1].name != "f32":
            raise WorkbenchError(
                f"a second scale level of {self.levels[1]}",
                "the tensor's own scale is a float32",
                "write *e4m3fn*f32",
            )
        if self.two_level and self.levels[0].name == "pow2" and not self.row_ratios:
            raise WorkbenchError(
                "pow2 under the tensor's own scale", "it has no largest value to be brought to",
                "write *pow2, or *pow2(m2) for a float32 a row above powers of two",
            )  # fmt: skip
        for level in self.levels:
            if isinstance(level.format, FloatFormat):
                _check_float_scale(level.format)
        if len(self.levels) == 2 and self.granularity == "tensor":
            raise WorkbenchError(
                "two scale levels for one tensor", "both would be the same", "write one level"
            )
        if self.row_ratios and not self._plain_groups:
            raise WorkbenchError(
                f"{self.levels[0]} in {self}",
                "it ties groups of a row, whose ranges lie about zero, to the largest of them",
                f"write g256*{self.levels[0]}, with @mse or without",
            )

    def __str__(self) -> str:
        sizes = "x".join(map(str, self.size))
        letter = {"group": self.word, "tile": "t"}.get(self.granularity, self.granularity)
        levels = "" if self.levels == (ScaleFormat(),) else "".join(f"*{s}" for s in self.levels)
        zero = "+zp" if self.zero_point else "+mean" if self.mean else ""
        chosen = "" if self.range == RangeChoice() else f"@{self.range}"
        return f"/{letter}{sizes}{levels}{zero}{chosen}"

    @property
    def two_level(self) -> bool:
        """Whether block scales are themselves scaled by one float32 of the tensor."""
        return len(self.levels) == 2

    @property
    def row_ratios(self) -> bool:
        """Whether block scales are powers of two times one float32 of their row."""
        return self.levels[0].of_row

    @property
    def has_whole(self) -> bool:
        """Whether a float32 stands above the block scales, one for the tensor or one a row."""
        return self.two_level or self.row_ratios

    @property
    def _plain_groups(self) -> bool:
        """Whether groups have one scale each, by their largest magnitude or by search."""
        shifted = self.zero_point or self.mean or self.two_level
        return self.granularity == "group" and not shifted and self.range.kind in ("absmax", "mse")


def _check_float_scale(f: FloatFormat) -> None:
    """Raise where a float format cannot store scales."""
    if f.mantissa == 0 or not f.subnormals or f.bits < 4 or f.least_exponent < -126:
        raise WorkbenchError(
            f"scales of {f}",
            "a float scale needs a mantissa, subnormals and the range of float32",
            "write e4m3fn, f16, bf16, or e8m0 for powers of two",
        )
