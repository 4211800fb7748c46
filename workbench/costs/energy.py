"""Energy of arithmetic and memory, from published tables of one node and voltage each; and carbon.

An operation that a table does not have is estimated from the nearest that it has, by the gates of
the two, and says so. What runs today on a smaller node takes less of all of it: ratios carry over
from node to node better than picojoules do.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import WorkbenchError, unknown
from .gates import gates
from .roofline import Point, Step

TABLES = Path(__file__).parent / "data" / "energy.toml"
NARROW = {  # a format of each unit, and the family whose figures it is estimated from
    "int4": ("int4", "int8"), "int8": ("int8", "int8"), "float4": ("e2m1", "float16"),
    "float6": ("e3m2", "float16"), "float8": ("e4m3fn", "float16"),
    "float16": ("f16", "float16"), "bfloat16": ("bf16", "float16"),
}  # fmt: skip
ACCESS = 8  # bytes of one access of a table's memory
PICO, HOUR = 1e-12, 3.6e6  # joules of a picojoule, and of a kilowatt hour


@dataclass(frozen=True)
class Energy:
    """Joules between a least and a most, and how they are known.

    Example:
        >>> Energy(1.0, 2.0, "table") + Energy(1.0, 1.0, "estimate")
        Energy(least=2.0, most=3.0, provenance='table; estimate')
    """

    least: float
    most: float
    provenance: str

    def __add__(self, other: Energy) -> Energy:
        parts = dict.fromkeys([*self.provenance.split("; "), *other.provenance.split("; ")])
        return Energy(self.least + other.least, self.most + other.most, "; ".join(parts))

    def __mul__(self, count: float) -> Energy:
        return Energy(count * self.least, count * self.most, self.provenance)

    def carbon(self, intensity: float) -> tuple[float, float]:
        """Grams of carbon dioxide, least and most, at so many a kilowatt hour.

        Example:
            >>> Energy(3.6e6, 7.2e6, "").carbon(400.0)
            (400.0, 800.0)
        """
        if not intensity >= 0:
            raise WorkbenchError(
                f"{intensity} grams a kilowatt hour", "it is no intensity", "write for example 400"
            )
        return self.least / HOUR * intensity, self.most / HOUR * intensity


@dataclass(frozen=True)
class EnergyTable:
    """What operations take at one node and voltage.

    Attributes:
        name, title, source, date: of the table.
        node: nanometres.
        voltage: volts.
        adds, multiplies: picojoules by operand.
        memories: by name, the size in bytes or None, and picojoules of an access of 64 bits, least
            and most.

    Example:
        >>> table = energy_table("horowitz-45nm")
        >>> round(1 - table.add("int16").least / table.multiply("float16").least, 3)  # L-Mul's 95 %
        0.955
    """

    name: str
    title: str
    source: str
    date: str
    node: float
    voltage: float
    adds: Mapping[str, float]
    multiplies: Mapping[str, float]
    memories: Mapping[str, tuple[float | None, float, float]]

    @property
    def provenance(self) -> str:
        """Where its figures come from."""
        return f"{self.source}, {self.date}, {self.node:g} nm, {self.voltage:g} V"

    def add(self, operand: str) -> Energy:
        """One addition of operands such as "int32"."""
        return self._of("addition", self.adds, operand)

    def multiply(self, unit: str) -> Energy:
        """One multiplication on a unit of arithmetic; estimated where the table lacks it."""
        if unit in self.multiplies or unit not in NARROW:
            return self._of("multiplication", self.multiplies, unit)
        format, like = NARROW[unit]
        share = _multiplier(format) / _multiplier(NARROW[like][0])
        joules = PICO * self.multiplies[like] * share
        said = f"{unit} estimated from {like} of {self.provenance} by multiplier gates"
        return Energy(joules, joules, said)

    def multiply_accumulate(self, unit: str) -> Energy:
        """A product and its addition to a sum: of 32 bits, an integer's or a float's."""
        return self.multiply(unit) + self.add("int32" if unit.startswith("int") else "float32")

    def access(self, memory: str = "DRAM") -> Energy:
        """One byte of a memory."""
        if memory not in self.memories:
            raise unknown(f"memory of {self.name}", memory, self.memories)
        _, least, most = self.memories[memory]
        return Energy(PICO * least / ACCESS, PICO * most / ACCESS, self.provenance)

    def _of(self, kind: str, figures: Mapping[str, float], operand: str) -> Energy:
        if operand not in figures:
            raise unknown(f"{kind} of {self.name}", operand, figures)
        joules = PICO * figures[operand]
        return Energy(joules, joules, self.provenance)


def _multiplier(format: str) -> float:
    found = gates(format, "fixed" if format.startswith("int") else "float32")
    return found.multiplier + found.exponent


def energy_table(name: str) -> EnergyTable:
    """The table of that name; an unknown one raises `WorkbenchError`.

    Example:
        >>> energy_table("horowitz-45nm").node
        45
    """
    if name not in energy_tables():
        raise unknown("energy table", name, energy_tables())
    return energy_tables()[name]


@cache
def energy_tables() -> dict[str, EnergyTable]:
    """The shipped tables by name."""
    return {
        name: _table(name, row) for name, row in tomllib.loads(TABLES.read_text("utf-8")).items()
    }


def _table(name: str, row: Mapping[str, Any]) -> EnergyTable:
    memories = {one["name"]: (one.get("size"), one["least"], one["most"]) for one in row["memory"]}
    return EnergyTable(
        name, row["title"], row["source"], row["date"], row["node"], row["voltage"], row["add"],
        row["multiply"], memories,
    )  # fmt: skip


def energy_of(step: Step | Point, table: EnergyTable) -> Energy:
    """The energy of a step, or of a point of it: its products, and its traffic from DRAM.

    Operations that are no product count as additions of float32; what stays on the chip, and what
    a chip takes while it waits, count nothing. So it ranks recipes; it is no power bill.

    Example:
        >>> from workbench.costs import Operands, Workload, architecture, hardware, roofline
        >>> llama, card = architecture("llama-2-7b"), hardware("a100-sxm")
        >>> wide, narrow = (roofline(llama, Workload("decode"), card, Operands(scheme))
        ...                 for scheme in ("", "int4/g128"))
        >>> table = energy_table("horowitz-45nm")
        >>> round(energy_of(wide, table).least / energy_of(narrow, table).least, 2)
        2.94
    """
    points = step.points if isinstance(step, Step) else (step,)
    total = Energy(0.0, 0.0, table.provenance)
    for point in points:
        if point.operation.kind in ("linear", "head", "attention"):
            total += table.multiply_accumulate(point.unit.name) * (point.operations / 2)
        else:
            total += table.add("float32") * point.operations
        total += table.add("float32") * point.conversions
        total += table.access() * point.traffic.total
    return total
