"""Walk through a checkpoint tensor by tensor: ranges, NaN, outlier channels, lattice, errors.

Tensors are read in slices and given back, so that a checkpoint larger than memory is walked through
in a few hundred megabytes; what is kept of each is one row.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.models.checkpoint import Checkpoint, TensorInfo
from workbench.models.lattice import Lattice, detect
from workbench.models.lattice_looks import LOOK

if TYPE_CHECKING:
    from workbench.sketches import Sketch

SCHEMES = ("mxfp4", "int4/g32")
OUTLIER = 8.0  # times the median channel
MOST_OUTLIERS = 8
SLICE = 1 << 22  # values read at once


@dataclass(frozen=True)
class ChannelOutlier:
    """A row or a column of a weight whose largest magnitude is far above the median one's.

    Args:
        axis: `"row"` (an output of a linear layer) or `"column"` (an input).
        channel: its index.
        ratio: its largest magnitude over the median of those of all rows, or columns.
    """

    axis: str
    channel: int
    ratio: float


@dataclass(frozen=True)
class TensorScan:
    """What one tensor of a checkpoint holds.

    Args:
        name, shape, dtype, nbytes: as the header says.
        nan, infinite, zeros: counts.
        low, high, rms: of the finite values; 0 where there are none.
        outliers: rows and columns far above the median one, largest ratio first, at most 8.
        lattice: the quantization lattice it lies on already, or None.
        sqnr: dB of each scheme asked for; None where a sketch cannot say.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    nan: int = 0
    infinite: int = 0
    zeros: int = 0
    low: float = 0.0
    high: float = 0.0
    rms: float = 0.0
    outliers: tuple[ChannelOutlier, ...] = ()
    lattice: Lattice | None = None
    sqnr: dict[str, float | None] = field(default_factory=dict)

    @property
    def broken(self) -> bool:
        """Whether some value is NaN or infinite."""
        return bool(self.nan or self.infinite)


def scan(
    checkpoint: Checkpoint,
    schemes: Sequence[str] = SCHEMES,
    report: Callable[[str, int], object] = lambda name, nbytes: None,
    names: Sequence[str] | None = None,
) -> Iterator[TensorScan]:
    """One row a tensor, in the order of the checkpoint; stop iterating and nothing more is read.

    Args:
        checkpoint: from `models.tensors`.
        schemes: whose error is read from the sketch of each tensor.
        report: is told the tensor and how many of its bytes were read, slice by slice.
        names: of the tensors to look at; None for all.

    Peak memory does not grow with the checkpoint. An unknown tensor or scheme, or a scheme of
    tiles, which the slices would cut, is a `WorkbenchError`.

    >>> from workbench import models
    >>> rows = list(scan(models.tensors("reference")))
    >>> len(rows), rows[0].name, any(row.broken for row in rows)
    (39, 'embed_tokens.weight', False)
    """
    _check(schemes)
    infos = checkpoint.infos if names is None else [checkpoint.info(name) for name in names]
    return (_scanned(checkpoint, info, schemes, report) for info in infos)


def peak_memory() -> int:
    """The most bytes this process ever had resident, files it maps included.

    >>> peak_memory() > 1_000_000
    True
    """
    try:  # getrusage also counts what the parent had before this program was started
        status = Path("/proc/self/status").read_text("ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError, ValueError):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _check(schemes: Sequence[str]) -> None:
    from workbench.schemes import parse
    from workbench.sketches.geometry import geometry_of

    for text in schemes:
        geometry = geometry_of(parse(text))
        if geometry is not None and geometry.granularity == "tile":
            raise WorkbenchError(
                text, "a scan reads slices of rows, which cut tiles", "write a scheme of groups"
            )


def _scanned(checkpoint: Checkpoint, info: TensorInfo, schemes, report) -> TensorScan:
    head = (info.name, info.shape, info.dtype, info.nbytes)
    if info.dtype[0] in "iu" or info.dtype in ("bool", "c64"):
        report(info.name, info.nbytes)
        return TensorScan(*head)
    walk = _Walk(schemes)
    for part in checkpoint.slices(info.name, SLICE):
        walk.add(part)
        report(info.name, round(info.nbytes * part.size / info.size))
    return walk.row(head)


class _Walk:
    """What is summed up over the slices of one tensor."""

    def __init__(self, schemes: Sequence[str]) -> None:
        self.schemes = schemes
        self.sketch: Sketch | None = None
        self.columns: np.ndarray | None = None
        self.rows: list[np.ndarray] = []
        self.sample: list[np.ndarray] = []

    def add(self, part: np.ndarray) -> None:
        from workbench.sketches import sketch

        one = sketch(part, schemes=self.schemes)
        self.sketch = one if self.sketch is None else self.sketch + one
        if part.ndim < 2:
            self.sample = self.sample or [part.reshape(1, -1)[:, :LOOK]]
            return
        flat = part.reshape(part.shape[0], -1)
        sizes = np.abs(flat)
        if one.values.n_nan or one.values.n_pos_inf or one.values.n_neg_inf:
            sizes[~np.isfinite(sizes)] = 0
        largest = sizes.max(axis=0)
        self.columns = largest if self.columns is None else np.maximum(self.columns, largest)
        self.rows.append(sizes.max(axis=1))
        count = max(1, LOOK // flat.shape[1])  # a few rows of each slice show the lattice
        chosen = np.linspace(0, len(flat) - 1, min(len(flat), count)).astype(np.int64)
        self.sample.append(flat[chosen, :LOOK])

    def row(self, head: tuple[str, tuple[int, ...], str, int]) -> TensorScan:
        if self.sketch is None:
            return TensorScan(*head)
        values = self.sketch.values
        filled = values.n > 0
        return TensorScan(
            *head,
            nan=values.n_nan,
            infinite=values.n_pos_inf + values.n_neg_inf,
            zeros=values.n_zero,
            low=float(values.low) if filled else 0.0,
            high=float(values.high) if filled else 0.0,
            rms=self.sketch.rms,
            outliers=self._outliers(),
            lattice=self._lattice(head[2]),
            sqnr={text: self._sqnr(text) for text in self.schemes},
        )

    def _lattice(self, stored: str) -> Lattice | None:
        stack = np.concatenate(self.sample[:: max(1, len(self.sample) // 4)])
        return detect(stack[np.isfinite(stack).all(axis=1)], stored)

    def _sqnr(self, text: str) -> float | None:
        try:
            return float(self.sketch.error(text).sqnr)
        except WorkbenchError:  # a sketch says where it cannot answer; the column stays empty
            return None

    def _outliers(self) -> tuple[ChannelOutlier, ...]:
        if self.columns is None:
            return ()
        found = outlier_channels(np.concatenate(self.rows), "row")
        found += outlier_channels(self.columns, "column")
        return tuple(sorted(found, key=lambda one: -one.ratio)[:MOST_OUTLIERS])


def outlier_channels(
    largest: np.ndarray, axis: str, above: float = OUTLIER
) -> list[ChannelOutlier]:
    """The channels whose largest magnitude is at least `above` times the median one's.

    >>> outlier_channels(np.array([1.0, 1.0, 9.0]), "column")
    [ChannelOutlier(axis='column', channel=2, ratio=9.0)]
    """
    filled = largest[largest > 0]
    if filled.size < 2:
        return []
    ratios = largest / np.median(filled)
    return [ChannelOutlier(axis, int(i), float(ratios[i])) for i in np.flatnonzero(ratios >= above)]
