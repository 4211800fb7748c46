"""Hardware as a table of sourced figures: peaks of formats, memories, power.

The shipped rows are in `data/hardware.toml`, a person's own in `hardware.toml` of the configuration
folder, written the same way. What no source says is missing from a row, and asking for it says so.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

from ..errors import WorkbenchError, unknown

SHIPPED = Path(__file__).parent / "data" / "hardware.toml"
UNITS = (
    "int4", "int8", "float4", "float6", "float8", "float16", "bfloat16", "tf32", "float32"
)  # fmt: skip
ROLES = ("cache", "main", "offload")
ROW, GROUP = {"title", "kind", "figures", "blocks"}, {
    "source", "date", "note", "peaks", "memory", "power",
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A number, and who says so.

    Attributes:
        value: operations, bytes, bytes a second or watts.
        source: a document.
        date: its year and month.
        note: how it was worked out, where the source does not say it in so many words.
    """

    value: float
    source: str
    date: str
    note: str = ""

    @property
    def provenance(self) -> str:
        """Where it comes from, in one line."""
        return f"{self.source}, {self.date}" + (f"; {self.note}" if self.note else "")


@dataclass(frozen=True)
class Memory:
    """One level of memory.

    Attributes:
        name: such as "HBM3".
        bandwidth: bytes a second, or None where no source says it.
        size: bytes, or None.
        role: "cache" for one that fills itself, "main", or "offload" for one behind a link.
    """

    name: str
    bandwidth: Figure | None = None
    size: Figure | None = None
    role: str = "main"


@dataclass(frozen=True)
class Hardware:
    """A device.

    Attributes:
        name: of its row.
        title: as a person would call it.
        kind: what sort of device.
        peaks: operations a second by the operands of its multipliers, dense; see `UNITS`.
        memories: from the nearest to the farthest.
        power: watts under load, or None.
        blocks: schemes whose scales its multipliers apply themselves.

    Example:
        >>> a6000 = hardware("rtx-a6000")
        >>> round(a6000.peak("float16").value / a6000.main.bandwidth.value, 1)
        201.6
    """

    name: str
    title: str
    kind: str
    peaks: Mapping[str, Figure]
    memories: tuple[Memory, ...]
    power: Figure | None = None
    blocks: tuple[str, ...] = field(default=())

    def peak(self, unit: str) -> Figure:
        """Operations a second on operands of a unit; one that no source states is an error."""
        if unit not in UNITS:
            raise unknown("unit of arithmetic", unit, UNITS)
        if unit not in self.peaks:
            raise WorkbenchError(
                f"{unit} on {self.name}", "its row states no such peak",
                "take " + (" or ".join(self.peaks) or "another device")
                + ", or add the figure to a row of your own",
            )  # fmt: skip
        return self.peaks[unit]

    @property
    def main(self) -> Memory:
        """The memory that holds weights; a row without its bandwidth is an error."""
        found = next((each for each in self.memories if each.role == "main"), None)
        if found is None or found.bandwidth is None:
            raise WorkbenchError(
                self.name, "its row states no bandwidth of a main memory",
                "add it to a row of your own",
            )  # fmt: skip
        return found


def hardware(name: str) -> Hardware:
    """The device of a row, shipped or a person's own; an unknown name raises `WorkbenchError`.

    Example:
        >>> hardware("h100-sxm").peak("float8").value
        1978900000000000.0
    """
    table = hardware_table()
    if name not in table:
        raise unknown("hardware", name, table)
    return table[name]


def hardware_table() -> dict[str, Hardware]:
    """All devices by name: the shipped ones, and over them those of `own_rows()`.

    Example:
        >>> {"a100-sxm", "mi300x", "alveo-u280"} <= set(hardware_table())
        True
    """
    own = own_rows()
    return _shipped() | (read_hardware(own) if own.is_file() else {})


def own_rows() -> Path:
    """Where a person's own rows are, whether or not there are some yet."""
    return Path(platformdirs.user_config_dir("lowbit-workbench")) / "hardware.toml"


@cache
def _shipped() -> dict[str, Hardware]:
    return read_hardware(SHIPPED)


def read_hardware(path: str | Path) -> dict[str, Hardware]:
    """The devices of a TOML file, by name.

    A table a device, with `title`, `kind` and a list `figures`; each of those has a `source`, a
    `date`, and some of `peaks`, `memory` and `power`. What is misspelt, or without a source or a
    date, raises `WorkbenchError`.
    """
    try:
        tables = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WorkbenchError(str(path), f"it is no table ({error})", "repair it") from None
    return {name: _device(name, table, str(path)) for name, table in tables.items()}


def _device(name: str, row: Any, path: str) -> Hardware:
    at = f"{path}: {name}"
    _known(row, ROW, at)
    peaks: dict[str, Figure] = {}
    memories: list[Memory] = []
    power = None
    for group in row.get("figures", ()):
        _known(group, GROUP, at)
        stated = group.get("peaks", {})
        _known(stated, UNITS, at, "unit of arithmetic")
        for unit, value in stated.items():
            peaks[unit] = _figure(value, group, f"{at}: {unit}")
        memories += _memories(group, at)
        power = _figure(group["power"], group, f"{at}: power") if "power" in group else power
    return Hardware(
        name, str(row.get("title", name)), str(row.get("kind", "")), peaks, tuple(memories), power,
        tuple(row.get("blocks", ())),
    )  # fmt: skip


def _memories(group: Mapping[str, Any], at: str) -> Iterator[Memory]:
    for each in group.get("memory", ()):
        _known(each, {"name", "bandwidth", "size", "role"}, at)
        sizes = {
            key: _figure(each[key], group, f"{at}: {key}")
            for key in ("bandwidth", "size")
            if key in each
        }
        role = each.get("role", "main")
        _check("role of a memory", role, ROLES, at)
        yield Memory(str(each.get("name", "memory")), role=role, **sizes)


def _known(table: Any, names: Collection[str], at: str, kind: str = "entry of hardware") -> None:
    if not isinstance(table, Mapping):
        raise WorkbenchError(at, "it is no table of a device", "write [name] above its figures")
    for name in table:
        _check(kind, name, names, at)


def _check(kind: str, name: Any, names: Collection[str], at: str) -> None:
    if name not in names:
        error = unknown(kind, str(name), names)
        raise WorkbenchError(f"{at}: {error.passed}", error.why, error.instead)


def _figure(value: Any, group: Mapping[str, Any], at: str) -> Figure:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise WorkbenchError(f"{at} = {value!r}", "it is no number above 0", "write it as 312e12")
    source, date = str(group.get("source", "")), str(group.get("date", ""))
    if not source or not date:
        raise WorkbenchError(
            at, "a figure without a source and a date cannot be checked",
            'write source = "..." and date = "2024-03" beside it',
        )  # fmt: skip
    return Figure(float(value), source, date, str(group.get("note", "")))
