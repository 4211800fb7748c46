"""The widths of what a step reads and writes, and the arithmetic that they run on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import WorkbenchError
from ..formats import parse as parse_format
from ..schemes import Scheme
from ..schemes import parse as parse_scheme
from .hardware import UNITS, Figure, Hardware

HOLDS = {
    "int4": ("int4",), "int8": ("int8",), "float4": ("e2m1",), "float6": ("e2m3", "e3m2"),
    "float8": ("e4m3fn", "e5m2"), "float16": ("f16",), "bfloat16": ("bf16",),
}  # fmt: skip
WIDE = ("float16", "bfloat16")
SHIFTS = range(-4, 5)


@dataclass(frozen=True)
class Added:
    """What a layer stores and computes beside its weight.

    Attributes:
        bytes: stored.
        operations: for each row of inputs.
        idle: of the bytes, those that a step hardly reads.
    """

    bytes: float = 0
    operations: float = 0
    idle: float = 0

    def __add__(self, other: Added) -> Added:
        operations, idle = self.operations + other.operations, self.idle + other.idle
        return Added(self.bytes + other.bytes, operations, idle)


def nothing_added(outputs: int, features: int) -> Added:
    """What a layer without residuals has beside its weight."""
    return Added()


@dataclass(frozen=True)
class Operands:
    """The formats of a layer's operands.

    Args:
        weights: the scheme of its weights, or "" for the plain format.
        activations: the scheme of its inputs, or "".
        cache: the scheme of keys and values, or "".
        plain: the format of everything else.
        added: what a layer of (outputs, features) stores and computes beside its weight.
        weight_bytes: of a weight of (outputs, features) where its scheme alone does not say them.
        lookup: whether weights are looked up in a table before they are multiplied.

    Example:
        >>> Operands("int4/g128").stored((4096, 4096)) * 8 / 4096**2
        4.25
    """

    weights: str = ""
    activations: str = ""
    cache: str = ""
    plain: str = "bf16"
    added: Callable[[int, int], Added] = nothing_added
    weight_bytes: Callable[[int, int], float] | None = None
    lookup: bool = False

    def stored(self, shape: tuple[int, int]) -> float:
        """Bytes of a weight of (outputs, features), with scales and whatever is added."""
        given = self.weight_bytes
        alone = given(*shape) if given else _bytes(self.weights or self.plain, shape)
        return alone + self.added(*shape).bytes

    def read(self, shape: tuple[int, int]) -> float:
        """Bytes of them that a step reads."""
        return self.stored(shape) - self.added(*shape).idle

    def activation_bytes(self, values: float, features: int) -> float:
        """Bytes of inputs, scales of rows of `features` counted."""
        return values * _each(self.activations or self.plain, max(features, 1))

    def cache_bytes(self, values: float, features: int) -> float:
        """Bytes of keys or values, scales of rows of `features`, all heads of a token, counted."""
        return values * _each(self.cache or self.plain, max(features, 1))

    def plain_bytes(self, values: float) -> float:
        """Bytes of values in the plain format."""
        return values * parse_format(self.plain).bits / 8


def _bytes(text: str, shape: tuple[int, int]) -> float:
    return _bits(text, shape) * shape[0] * shape[1] / 8


@lru_cache(maxsize=4096)
def _bits(text: str, shape: tuple[int, int]) -> float:
    return parse_scheme(text).bits_per_value(shape)


def _each(text: str, features: int) -> float:
    """Bytes a value of many rows; a scale for all of them together counts nothing."""
    rows = 1 << 16
    return _bits(text, (rows, features)) / 8


@dataclass(frozen=True)
class Unit:
    """The arithmetic that a product of two operands runs on.

    Attributes:
        name: of `UNITS`.
        peak: its operations a second.
        converts: whether weights have to be brought to another format first.
    """

    name: str
    peak: Figure
    converts: bool


def unit_for(device: Hardware, weights: str, activations: str, plain: str = "bf16") -> Unit:
    """The fastest arithmetic of a device that takes two operands as they are.

    An operand goes where every value of its format is one, up to a power of two; one that fits
    nowhere, as the values of a codebook, is converted to the plain format first. A device that has
    neither the narrow unit nor a 16-bit or 32-bit one raises `WorkbenchError`.

    Example:
        >>> from workbench.costs import hardware
        >>> a100 = hardware("a100-sxm")
        >>> unit_for(a100, "int8/channel", "int8/token").name, unit_for(a100, "int4/g128", "").name
        ('int8', 'bfloat16')
        >>> unit_for(hardware("h100-sxm"), "int4/channel", "e4m3fn/token").name
        'float8'
    """
    operands = [_carried(_format(text or plain), plain) for text in (weights, activations)]
    fitting = [unit for unit in device.peaks if all(_fits(each, unit) for each in operands)]
    if not fitting:  # arithmetic that the row does not have
        fitting = [unit for unit in (*WIDE, "float32") if unit in device.peaks]
    if not fitting:
        named = f"{weights or plain} by {activations or plain} on {device.name}"
        raise WorkbenchError(
            named, f"its row states peaks of {' and '.join(device.peaks)}, which take neither",
            "take another device, or add the figure to a row of your own",
        )  # fmt: skip
    best = max(fitting, key=lambda unit: (device.peaks[unit].value, -UNITS.index(unit)))
    converts = bool(weights) and operands[0] not in HOLDS.get(best, ())
    return Unit(best, device.peaks[best], converts or operands[0] != _format(weights or plain))


def _format(text: str) -> str:
    """The format of what is multiplied; codes less a zero point have a bit more."""
    scheme = parse_scheme(text)
    zero = scheme.scale is not None and scheme.scale.zero_point
    return f"int{scheme.element.bits + 1}" if zero else scheme.element.name


def _carried(name: str, plain: str) -> str:
    """The format that a product reads: the operand's own, or plain where no multiplier has it."""
    narrow = parse_format(name).bits < 16 and any(_fits(name, unit) for unit in HOLDS)
    return name if narrow else plain


@lru_cache(maxsize=4096)
def _fits(name: str, unit: str) -> bool:
    """Whether a unit takes every value of a format, all times one power of two where that helps."""
    if unit not in HOLDS:
        return unit == "float32" or parse_format(name).bits <= 8
    values = _values(name)
    return any(
        np.isin(values * 2.0**shift, _values(held), assume_unique=True).all()
        for held in HOLDS[unit] for shift in SHIFTS
    )  # fmt: skip


@lru_cache(maxsize=256)
def _values(name: str) -> np.ndarray:
    """The finite values of a format, each once, float64."""
    values = np.asarray(parse_format(name).values, np.float64)
    return np.unique(values[np.isfinite(values)])


def conversions(
    weights: str, unit: Unit, rows: float, shape: tuple[int, int], device: Hardware
) -> float:
    """Values that are scaled or converted: weights on their way in, and partial sums on their way.

    Weights that a unit does not read are converted once each, into 16 bits or more with their
    scales. A narrower unit leaves a partial sum for each group along the features to be scaled,
    unless the device applies such scales itself (the count of MixPE, Zhang et al., 2024).

    Example:
        >>> from workbench.costs import hardware
        >>> a100 = hardware("a100-sxm")
        >>> unit = unit_for(a100, "int8/g128", "int8/token")
        >>> conversions("int8/g128", unit, 1, (4096, 4096), a100) == 4096 * 4096 // 128
        True
    """
    outputs, features = shape
    if not weights:
        return 0.0
    converted = float(outputs * features) if unit.converts else 0.0
    scheme: Scheme = parse_scheme(weights)
    narrow = unit.name in HOLDS and unit.name not in WIDE
    if not narrow or scheme.scale is None or scheme.name in device.blocks:
        return converted
    groups = -(-features // scheme.scale.size[-1]) if scheme.scale.size else 1
    return converted + rows * outputs * groups
