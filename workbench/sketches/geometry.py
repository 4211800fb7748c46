"""Which blocks a sketch looks at, and in which unit, so that a scheme can be read from it.

A scheme whose scales are powers of two needs blocks in units of a power of two; float32 (or f16,
bf16) scales need units of the block's largest magnitude; scales in a coarse float such as e4m3fn
need fine classes of that magnitude; a zero point needs the width of the block's range.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..errors import WorkbenchError
from ..formats import FloatFormat
from ..kernels.block_histograms import Grid, grid_edges, grid_of
from ..schemes import Scale, Scheme


class Unit(NamedTuple):
    """How blocks are brought to one unit: classes of the reference's mantissa, and the bins."""

    powers: bool
    cuts: np.ndarray
    grid: Grid


@lru_cache(maxsize=8)
def edges_of(unit: str) -> tuple[np.ndarray, np.ndarray]:
    """The lower edge and the width of every bin of a unit.

    Example:
        >>> edges_of("power")[0][:2].tolist()
        [1.0, 1.0078125]
    """
    return grid_edges(UNITS[unit].grid)


def _rule_cuts() -> np.ndarray:
    """Mantissas at which a power-of-two rule can change its mind, for any element format.

    ceil: any mantissa above 1. rceil: above the mantissa of the largest value, 2 - 2^-k or 1. even:
    from 2 - 2^-(M+1) on. So each 2 - 2^-k is a class of its own, and so is 1.
    """
    ends = [int((1 - 2.0**-k) * (1 << 23)) for k in range(1, 9)]
    return np.array(sorted({1, *ends, *(e + 1 for e in ends)}), np.int64)


UNITS = {
    "power": Unit(True, _rule_cuts(), grid_of(7, 5, 40)),
    "amax": Unit(False, np.zeros(0, np.int64), grid_of(10, 7, 24)),
    "span": Unit(False, np.zeros(0, np.int64), grid_of(10, 7, 24)),
    "fine": Unit(True, np.arange(1, 256, dtype=np.int64) << 15, grid_of(5, 2, 6)),
}


class Geometry(NamedTuple):
    """Blocks of one granularity, looked at in one unit (a key of `UNITS`)."""

    granularity: str
    size: tuple[int, ...]
    unit: str

    def __str__(self) -> str:
        return f"{self.granularity}{'x'.join(map(str, self.size))}/{self.unit}"

    @staticmethod
    def parse(text: str) -> Geometry:
        """The geometry that `str` wrote.

        Example:
            >>> Geometry.parse("group32/power")
            Geometry(granularity='group', size=(32,), unit='power')
        """
        blocks, unit = text.split("/")
        name = blocks.rstrip("0123456789x") if blocks[-1].isdigit() else blocks
        sizes = blocks[len(name) :]
        return Geometry(name, tuple(int(n) for n in sizes.split("x")) if sizes else (), unit)

    @property
    def scale(self) -> Scale:
        """A scale of these blocks, for their layout."""
        return Scale(self.granularity, self.size)


def unseen(scheme: Scheme) -> WorkbenchError:
    """Why no sketch answers for a scheme whose groups know more than their reach."""
    what = "chooses its grid by its own" if scheme.parts else "is shifted by the mean of its own"
    if scheme.scale is not None and scheme.scale.row_ratios:
        what = "is tied to the largest of its row's"
    return WorkbenchError(
        str(scheme),
        f"each group {what} values, which a sketch no longer has",
        "use wb.metrics.error(x, scheme), which is exact",
    )


def geometry_of(scheme: Scheme) -> Geometry | None:
    """The blocks a sketch needs to answer for a scheme; None where the values alone suffice.

    Example:
        >>> import workbench as wb
        >>> str(geometry_of(wb.scheme("mxfp4"))), geometry_of(wb.scheme("int8"))
        ('group32/power', None)
    """
    scale = scheme.scale
    if scheme.parts or (scale is not None and (scale.mean or scale.row_ratios)):
        raise unseen(scheme)
    if scale is None or scale.granularity == "tensor":
        return None
    if scale.range.kind != "absmax":
        raise WorkbenchError(
            str(scheme),
            f"a range by {scale.range.kind} is found for each block from its own values",
            "use wb.metrics.error(x, scheme), which is exact",
        )
    return Geometry(scale.granularity, scale.size, _unit(scheme))


def _unit(scheme: Scheme) -> str:
    assert scheme.scale is not None
    level = scheme.scale.levels[0]
    # from 7 mantissa bits on, a scale changes within a class, and its rounding is small instead
    wide = level.name == "f32" or (
        isinstance(level.format, FloatFormat) and level.format.mantissa >= 7
    )
    if scheme.scale.zero_point and not wide:
        raise WorkbenchError(
            str(scheme),
            f"a sketch follows a zero point with scales of f32, f16 or bf16, not {level}",
            "use wb.metrics.error(x, scheme), which is exact",
        )
    if scheme.scale.zero_point:
        return "span"
    if level.is_power:
        return "power"
    return "amax" if wide else "fine"
