"""What `workbench models show`, `scan` and `synthetic` print and do."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from workbench.errors import WorkbenchError
from workbench.models import scan as scanning
from workbench.models import synthetic
from workbench.models.checkpoint import Checkpoint, TensorInfo
from workbench.models.scan import TensorScan

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
UNITS |= {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
LARGEST = 6  # matrices whose lattice `show` looks for


def parse_size(text: str) -> int:
    """Bytes of a size such as `64MB`, `4 GB` or `1.5GiB`; anything else is a `WorkbenchError`.

    >>> parse_size("4GB"), parse_size("64MiB"), parse_size("1000")
    (4000000000, 67108864, 1000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", text.upper())
    if not match or match[2] not in UNITS:
        raise WorkbenchError(repr(text), "it is no number of bytes", "write 64MB or 4GB")
    return int(float(match[1]) * UNITS[match[2]])


def main_show(name: str, tensor: str | None = None) -> str:
    """What `workbench models show NAME [TENSOR]` prints: the tensors there are, or one closely."""
    from workbench import models

    checkpoint = models.tensors(name)
    if tensor is not None:
        return one_text(next(scanning.scan(checkpoint, names=[tensor])))
    rows = [
        (i.name, _shape(i.shape), i.dtype, f"{i.nbytes:,}", _notes(i)) for i in checkpoint.infos
    ]
    total = f"{len(rows)} tensors, {checkpoint.nbytes:,} bytes as stored"
    head = ("tensor", "shape", "type", "bytes", "")
    return "\n".join([*aligned([head, *rows], right=(3,)), total, *_lattices(checkpoint)])


def main_scan(
    name: str, schemes: Sequence[str] | None = None
) -> tuple[list[TensorScan], str, bool]:
    """What `workbench models scan NAME` does: the rows, their table as text, whether cancelled.

    A bar goes along with the bytes. Ctrl-C ends the walk, and the table says where.
    """
    from workbench import models

    checkpoint = models.tensors(name)
    schemes = scanning.SCHEMES if schemes is None else tuple(schemes)
    rows: list[TensorScan] = []
    begun, cancelled = time.perf_counter(), False
    with _bar(checkpoint.nbytes) as report:
        try:
            for row in scanning.scan(checkpoint, schemes, report):
                rows += [row]  # one by one, so that those before an interrupt stay
        except KeyboardInterrupt:
            cancelled = True
    lines = [scan_text(rows, schemes)]
    lines += [f"cancelled after {len(rows)} of {len(checkpoint)} tensors"] * cancelled
    seconds, peak = time.perf_counter() - begun, scanning.peak_memory()
    read = sum(row.nbytes for row in rows)
    lines.append(f"{read / 1e9:.2f} GB in {seconds:.0f} s, peak memory {peak / 1e6:,.0f} MB")
    return rows, "\n".join(lines), cancelled


def main_synthetic(folder: str, size: str, shard: str, dtype: str, nan: bool) -> str:
    """What `workbench models synthetic DIR` does: write a large checkpoint, say where."""
    plan = synthetic.plan(parse_size(size), parse_size(shard), dtype, nan=nan)
    with _bar(plan.nbytes) as report:
        index = synthetic.write(folder, plan, report)
    count = sum(map(len, plan.shards))
    return f"{count} tensors in {len(plan.shards)} shards, {plan.nbytes:,} bytes: {index}"


def records(rows: Sequence[TensorScan]) -> list[dict]:
    """Plain values of scanned rows, ready for `json.dumps`; infinite decibels are spelt out."""
    return [
        asdict(row)
        | {"lattice": str(row.lattice) if row.lattice else None, "broken": row.broken}
        | {"sqnr": {text: _plain(value) for text, value in row.sqnr.items()}}
        for row in rows
    ]


def _plain(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


def scan_text(rows: Sequence[TensorScan], schemes: Sequence[str]) -> str:
    """The table of scanned tensors as aligned text, with a line on what is broken."""
    head: tuple[str, ...] = ("tensor", "shape", "type", "lowest", "highest", "rms", "NaN", "Inf")
    head += (*(f"{text} dB" for text in schemes), "outliers", "lattice")
    cells = [(*_cells(row, schemes), _outliers(row), _lattice(row)) for row in rows]
    lines = aligned([head, *cells], right=range(3, 8 + len(schemes)))
    broken = [row.name for row in rows if row.broken]
    if broken:
        lines.append(f"NaN or infinities in {_and_more(broken, 3)}")
    return "\n".join(lines)


def one_text(row: TensorScan) -> str:
    """One scanned tensor in lines."""
    lines = [
        f"{row.name}  {_shape(row.shape)}  {row.dtype}  {row.nbytes:,} bytes",
        f"from {row.low:.4g} to {row.high:.4g}, rms {row.rms:.4g}, {row.zeros:,} zeros",
        f"{row.nan:,} NaN, {row.infinite:,} infinities",
        *(f"{text}: {_decibel(value)} dB" for text, value in row.sqnr.items()),
        *(f"{o.axis} {o.channel}: {o.ratio:.1f} times the median {o.axis}" for o in row.outliers),
        str(row.lattice)
        if row.lattice
        else "It lies on no quantization lattice that is told here.",
    ]
    return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Lines of cells in columns of one width, some to the right.

    >>> aligned([("a", "1"), ("bb", "10")], right=(1,))
    ['a    1', 'bb  10']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


@contextmanager
def _bar(nbytes: int) -> Iterator:
    """A bar over bytes on the terminal's error stream; silent where that is no terminal."""
    from tqdm import tqdm

    with tqdm(total=nbytes, unit="B", unit_scale=True, disable=None, leave=False) as bar:

        def report(name: str, count: int) -> None:
            bar.set_postfix_str(name[-40:], refresh=False)
            bar.update(count)

        yield report


def _lattices(checkpoint: Checkpoint) -> list[str]:
    """One sentence for each lattice that the largest matrices lie on."""
    infos = [info for info in checkpoint.infos if len(info.shape) > 1 and info.dtype[0] not in "iu"]
    found: dict[str, list[str]] = {}
    for info in sorted(infos, key=lambda info: -info.size)[:LARGEST]:
        part = next(checkpoint.slices(info.name), None)
        lattice = None if part is None else scanning.detect(part, info.dtype)
        if lattice is not None:
            found.setdefault(str(lattice), []).append(info.name)
    return [f"{_and_more(names)}: {says}" for says, names in found.items()]


def _and_more(names: list[str], shown: int = 1) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _cells(row: TensorScan, schemes: Sequence[str]) -> tuple[str, ...]:
    numbers = [f"{value:.3g}" for value in (row.low, row.high, row.rms)]
    counts = [f"{value:,}" if value else "" for value in (row.nan, row.infinite)]
    errors = [_decibel(row.sqnr.get(text)) for text in schemes]
    return (row.name, _shape(row.shape), row.dtype, *numbers, *counts, *errors)


def _decibel(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _outliers(row: TensorScan) -> str:
    told = [f"{one.axis} {one.channel} ×{one.ratio:.0f}" for one in row.outliers[:3]]
    return ", ".join(told) + (" …" if len(row.outliers) > 3 else "")


def _lattice(row: TensorScan) -> str:
    return row.lattice.short if row.lattice else ""


def _notes(info: TensorInfo) -> str:
    return f"also {', '.join(info.aliases)}" if info.aliases else ""


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"
