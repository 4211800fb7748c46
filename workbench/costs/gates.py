"""Gates of one multiply-accumulate, by a plain model: adders, ANDs and multiplexers are counted.

The integer is an array multiplier and a 32-bit accumulator; the float multiplies significands,
adds exponents and aligns the product into a fixed-point accumulator that holds every product
exactly (Kulisch & Miranker, 1981), or into that of float32. No wires, registers, timing or
activity: the numbers rank formats, they are not an area.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import WorkbenchError, unknown
from ..formats import FloatFormat, Format, IntegerFormat
from ..formats import parse as parse_format

ACCUMULATORS = ("fixed", "float32")
PROVENANCE = "estimate: gate model"


@dataclass(frozen=True)
class GateCosts:
    """What one part is worth, in two-input gates, and the widths that the model takes as given.

    Args:
        full_adder: gates of a full adder.
        and_gate: gates of one partial product bit.
        multiplexer: gates of a two-way multiplexer of one bit.
        accumulator: the least bits of an accumulator's adder.
        significand: bits of a float32 accumulator's adder: 24, guard, round and sticky.
        exponent: bits of a float32 accumulator's exponent.
        entry: bits of an entry of a codebook's lookup, and of the multiplier behind it.
        provenance: where the numbers come from.

    Example:
        >>> GateCosts(full_adder=6).full_adder
        6
    """

    full_adder: float = 5
    and_gate: float = 1
    multiplexer: float = 3
    accumulator: int = 32
    significand: int = 27
    exponent: int = 8
    entry: int = 16
    provenance: str = "textbook gates: a full adder is 2 XOR, 2 AND and 1 OR; a multiplexer 3"


USUAL = GateCosts()


@dataclass(frozen=True)
class Gates:
    """The gates of one multiply-accumulate of two values of a format, part by part.

    Args:
        format: the name of the format.
        multiplier: of the significands or the integers.
        exponent: adding exponents, and comparing with the accumulator's where it has one.
        alignment: shifting the product to its place, and a float32 sum back.
        accumulation: the accumulator's adder.
        lookup: of a codebook's values.
        width: bits of the accumulator.
        provenance: that it is an estimate, and of what.

    Example:
        >>> gates("int8").total, gates("e4m3fn").provenance
        (504, 'estimate: gate model')
    """

    format: str
    multiplier: float
    exponent: float = 0
    alignment: float = 0
    accumulation: float = 0
    lookup: float = 0
    width: int = 0
    provenance: str = PROVENANCE

    @property
    def parts(self) -> dict[str, float]:
        """The gates of each part, by name."""
        names = ("multiplier", "exponent", "alignment", "accumulation", "lookup")
        return {name: getattr(self, name) for name in names}

    @property
    def total(self) -> float:
        """All gates."""
        return sum(self.parts.values())


def gates(format: Format | str, accumulator: str = "fixed", costs: GateCosts = USUAL) -> Gates:
    """The gates of one multiply-accumulate in a format.

    Args:
        format: an integer, a fixed-point number, a float or a codebook, or its name.
        accumulator: of floats, "fixed" for one that holds every product exactly, "float32" for a
            rounded one; the others have integer accumulators.
        costs: what the parts are worth.

    A format of another family, or an unknown accumulator, raises `WorkbenchError`.

    Example:
        >>> round(gates("e4m3fn").total / gates("int8").total, 2)
        1.63
        >>> gates("e5m2", "float32").total < gates("e5m2").total
        True
    """
    format = parse_format(format)
    if accumulator not in ACCUMULATORS:
        raise unknown("accumulator", accumulator, ACCUMULATORS)
    if isinstance(format, IntegerFormat):
        return _of_integer(format, costs)
    if isinstance(format, FloatFormat):
        return _of_float(format, accumulator, costs)
    if format.family == "codebook":
        return _of_codebook(format, costs)
    raise WorkbenchError(
        format.name,
        "the gate model knows integers, floats and codebooks",
        "write for example int8, e4m3fn or nf4",
    )


def _array(bits: int, costs: GateCosts) -> float:
    """An array multiplier: an AND for each pair of bits, and rows of full adders."""
    return bits * bits * costs.and_gate + bits * max(bits - 1, 0) * costs.full_adder


def _shifter(width: int, places: int, costs: GateCosts) -> float:
    """A barrel shifter: one row of multiplexers for each bit of the distance."""
    return width * math.ceil(math.log2(places + 1)) * costs.multiplexer


def _of_integer(format: IntegerFormat, costs: GateCosts) -> Gates:
    width = max(costs.accumulator, 2 * format.bits)
    return Gates(
        format.name, _array(format.bits, costs), accumulation=width * costs.full_adder, width=width
    )


def _of_float(format: FloatFormat, accumulator: str, costs: GateCosts) -> Gates:
    """Significands with their hidden bit, exponents with a carry, and the accumulator."""
    hidden = 1 if format.exponent else 0
    product, places = 2 * (format.mantissa + hidden), 2 * max((1 << format.exponent) - 2, 0)
    common: dict[str, Any] = {
        "format": format.name,
        "multiplier": _array(format.mantissa + hidden, costs),
    }
    adder = (format.exponent + 1) * costs.full_adder if format.exponent else 0
    if accumulator == "float32":
        width = costs.significand
        return Gates(
            **common, exponent=adder + costs.exponent * costs.full_adder,
            alignment=2 * _shifter(width, width, costs),
            accumulation=width * costs.full_adder, width=width,
        )  # fmt: skip
    wide = product + places
    width = max(costs.accumulator, wide)
    return Gates(
        **common, exponent=adder, alignment=_shifter(wide, places, costs),
        accumulation=width * costs.full_adder, width=width,
    )  # fmt: skip


def _of_codebook(format: Format, costs: GateCosts) -> Gates:
    """A tree of multiplexers for one operand, then an integer multiplier of the entries' width."""
    width = max(costs.accumulator, 2 * costs.entry)
    return Gates(
        format.name, _array(costs.entry, costs), accumulation=width * costs.full_adder,
        lookup=((1 << format.bits) - 1) * costs.entry * costs.multiplexer, width=width,
    )  # fmt: skip
