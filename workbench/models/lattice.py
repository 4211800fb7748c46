"""Does a weight tensor already lie on a quantization lattice, and on which?

A checkpoint that was quantized once and stored as floats flatters the scheme that it came from: its
groups hold few distinct values, often evenly spaced, or every value has few significant bits. Here
that is found from the values alone: how many distinct values groups of each size take, beside how
many floats of the same precision would; and whether they are multiples of one step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.kernels import arrays
from workbench.models.lattice_looks import Look, looks_of, significant_bits

FEW = (2, 4, 8, 16)
MANY = 256
CASTS = {"e4m3fn": 4, "e5m2": 3, "bf16": 8, "f16": 11}  # significant bits, narrowest first
STORED = {"f8_e4m3": 4, "f8_e5m2": 3, "bf16": 8, "f16": 11}
SAMPLE = 1 << 19  # values looked at
ENOUGH = 64  # values that are not zero, below which nothing is said


@dataclass(frozen=True)
class Lattice:
    """What was found: which values share a lattice, and how many levels it has.

    Args:
        kind: `"group"` of neighbours in a row, `"channel"` (a row), `"tensor"`, or `"cast"`: values
            of a narrower float format without a scale.
        group_size: how many values share a scale; 0 for a cast.
        levels: the most distinct values found in one group; 0 for a cast.
        bits: the width of a code that tells the levels apart, or of a cast's significand.
        even: whether the levels are multiples of one step.
        format: the format of a cast, if it has a name here.
    """

    kind: str
    group_size: int
    levels: int
    bits: int
    even: bool
    format: str = ""

    @property
    def short(self) -> str:
        """A few words for the column of a table.

        >>> Lattice("group", 32, 16, 4, True).short
        'g32, 16 levels'
        """
        if self.kind == "cast":
            return self.format or f"{self.bits} significant bits"
        where = f"g{self.group_size}" if self.kind == "group" else self.kind
        return f"{where}, {self.levels} levels"

    def __str__(self) -> str:
        if self.kind == "cast":
            what = f"is a value of {self.format}" if self.format else "is a narrower float"
            return f"Every value {what}: it has at most {self.bits} significant bits."
        where = {
            "group": f"Every group of {self.group_size} values along a row takes",
            "channel": f"Every row of {self.group_size} values takes",
            "tensor": "The whole tensor takes",
        }[self.kind]
        spaced = ", evenly spaced" if self.even else ""
        return (
            f"{where} at most {self.levels} distinct values{spaced}: the weights were quantized to "
            f"{self.bits} bits before, and errors are measured against that."
        )


def detect(values: Any, stored: str = "f32") -> Lattice | None:
    """The lattice that a weight tensor lies on, or None.

    Args:
        values: float array or tensor; groups run along the last axis, of more than two axes all
            but the first are one row. Up to 2^19 values spread over it are looked at.
        stored: the type it is stored in (`"f32"`, `"bf16"`, ...): a cast is told only where it is
            narrower than that.

    Integers, tensors with fewer than 64 values that are not zero or with only one, and NaN or
    infinities among them, give None.

    >>> rng = np.random.default_rng(0)
    >>> from workbench import schemes
    >>> weights = rng.normal(size=(64, 256)).astype(np.float32)
    >>> print(detect(schemes.parse("int4/g32").round(weights)))
    Every group of 32 values along a row takes at most 15 distinct values, evenly spaced: the
    weights were quantized to 4 bits before, and errors are measured against that.
    >>> detect(weights) is None
    True
    """
    rows = _sample(values)
    if rows is None:
        return None
    bits = significant_bits(rows)
    looks = looks_of(rows, bits, FEW[-1])
    few, even = _few(looks, bits), _even(looks)
    if few and even:
        return even if even.group_size > few.group_size else few
    narrow = _cast(rows, bits, stored) if bits <= CASTS["e4m3fn"] else None
    named = narrow if narrow and narrow.format in ("e4m3fn", "e5m2") else None
    return few or even or named or _many(looks) or _cast(rows, bits, stored)


def _sample(values: Any) -> np.ndarray | None:
    """Rows spread evenly over a tensor, float32; None where nothing can be said."""
    if "float" not in str(getattr(values, "dtype", "float")):
        return None
    array = arrays.to_numpy(values.cpu() if arrays.on_device(values) else values)
    if not array.size:
        return None
    rows = np.atleast_2d(array).reshape(np.atleast_2d(array).shape[0], -1)
    count = max(1, SAMPLE // rows.shape[1])
    if count < rows.shape[0]:
        rows = rows[np.linspace(0, rows.shape[0] - 1, count).astype(np.int64)]
    rows = np.ascontiguousarray(rows[:, :SAMPLE], np.float32)
    return rows if _worth_it(rows) else None


def _worth_it(rows: np.ndarray) -> bool:
    filled = rows[rows != 0]
    return filled.size >= ENOUGH and bool(np.isfinite(filled).all()) and np.ptp(filled) > 0


def _few(looks: list[Look], bits: int) -> Lattice | None:
    """At most 16 levels: the fewest that the largest groups hold."""
    for levels in FEW:
        for look in looks:
            wide = look.size >= 2 * levels
            rare = look.rare or (bits <= CASTS["e4m3fn"] and wide)
            if 2 <= look.distinct <= levels <= look.size and rare:
                even = look.steps is not None and look.steps < levels
                width = math.ceil(math.log2(look.distinct))
                return Lattice(look.kind, look.size, look.distinct, width, even)
    return None


def _even(looks: list[Look]) -> Lattice | None:
    """Multiples of one step, up to 256 levels, in the largest groups that have one."""
    for look in looks:
        if look.steps is not None and look.distinct > 5:  # of fewer, some step fits by chance
            levels = look.steps + 1
            return Lattice(look.kind, look.size, levels, math.ceil(math.log2(levels)), True)
    return None


def _many(looks: list[Look]) -> Lattice | None:
    """Up to 256 levels that are not evenly spaced, in the largest groups with so few."""
    for look in looks:
        if look.distinct <= MANY and look.size >= 2 * look.distinct and look.rare:
            width = math.ceil(math.log2(look.distinct))
            return Lattice(look.kind, look.size, look.distinct, width, False)
    return None


def _cast(rows: np.ndarray, bits: int, stored: str) -> Lattice | None:
    """A narrower float format that holds every value, by name if it has one here."""
    from workbench import formats

    if bits > CASTS["f16"] or bits >= STORED.get(stored, 24):
        return None
    for name, most in CASTS.items():
        if bits <= most and np.array_equal(formats.parse(name).round(rows), rows):
            return Lattice("cast", 0, 0, bits, False, name)
    return Lattice("cast", 0, 0, bits, False)
