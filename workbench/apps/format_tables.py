"""The formats as text and as plain values: every one in a table, or one of them in full."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from workbench import formats

HEAD = ("name", "family", "bits", "values", "largest", "smallest > 0", "NaN", "inf")
PRINTED = 512  # a longer list of values is left to --json


def summary(name: str) -> dict[str, object]:
    """What identifies a format, as plain values; an unknown name is a `WorkbenchError`.

    Example:
        >>> summary("fp8_e4m3")["name"], summary("fp8_e4m3")["max"]
        ('e4m3fn', 448.0)
    """
    found = formats.parse(name)
    positive = found.values[found.values > 0]  # int1 is -1 and 0
    return {
        "name": found.name,
        "family": found.family,
        "bits": found.bits,
        "count": len(found),
        "max": found.max,
        "min": found.min,
        "smallest": float(positive[0]) if positive.size else None,
        "nan": found.has_nan,
        "infinity": found.has_infinity,
    }


def record(name: str) -> dict[str, object]:
    """`summary` and all the finite values, ascending.

    Example:
        >>> record("int2")["values"]
        [-2.0, -1.0, 0.0, 1.0]
    """
    return {**summary(name), "values": formats.parse(name).values.tolist()}


def every() -> list[dict[str, object]]:
    """The summary of each format that has a name of its own.

    Example:
        >>> every()[0]["name"]
        'f16'
    """
    return [summary(name) for name in formats.names()]


def text_table() -> str:
    """All of them as one aligned table.

    Example:
        >>> text_table().splitlines()[0].split()[:3]
        ['name', 'family', 'bits']
    """
    return aligned([HEAD, *map(_cells, every())])


def text_of(name: str) -> str:
    """One format: its line of the table, then its finite values.

    Example:
        >>> print(text_of("int2").splitlines()[-1])
        -2 -1 0 1
    """
    row = record(name)
    head = aligned([HEAD, _cells(row)])
    values: Sequence[float] = row["values"]  # type: ignore[assignment]
    if len(values) > PRINTED:
        return f"{head}\n\n{len(values)} values: --json prints them all"
    listed = " ".join(f"{value:.9g}" for value in values)
    return f"{head}\n\n" + "\n".join(textwrap.wrap(listed, 96))


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines: the first column to the left, the others to the right.

    Example:
        >>> print(aligned([("name", "bits"), ("e4m3fn", "8")]))
        name    bits
        e4m3fn     8
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _cells(row: dict[str, object]) -> tuple[str, ...]:
    return (
        *map(str, (row["name"], row["family"], row["bits"], row["count"])),
        *("-" if row[key] is None else f"{row[key]:.6g}" for key in ("max", "smallest")),
        *("yes" if row[key] else "-" for key in ("nan", "infinity")),
    )
