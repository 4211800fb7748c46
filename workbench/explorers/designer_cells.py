"""What a page without Python needs to measure any design on one tensor: its values in cells.

For each way of sharing scales, values are brought to a unit that no format changes (the largest
magnitude of their block, its scale where block scales are rounded themselves, or a power of two)
and counted in narrow bins with three moments, as sketches do. A format's own scale is then one
number for all cells, and its error follows from them, with a bound.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels.block_histograms import block_cells
from ..kernels.blocks import block_amax
from ..schemes import Layout, Scheme, apply, parse
from ..sketches.cells import Cells
from ..sketches.geometry import UNITS, edges_of, geometry_of
from ..sketches.reading import FLOAT32
from . import measure, reading
from .sources import Source

PROBE = "codebook(-1,1)"  # reaches to one, so that its scales are what blocks are brought to
REACHES = (6, 448, 0.9375, 7)  # of formats, to see whether rounded scales depend on them
_UNITS = ("absmean", "std")


def tensor_of(source: Source) -> dict[str, Any]:
    """The tensor's own figures, and its values in bins of their float32 pattern.

    Example:
        >>> from workbench.explorers import sources
        >>> tensor_of(sources.find("synthetic:uniform,256,0"))["n"]
        256
    """
    values, shown = source.sketch.values, reading.histogram(source)
    return {
        "text": source.text, "label": source.label, "shape": list(source.shape),
        "count": source.count, "n": values.n, "energy": values.energy,
        "low": values.low if values.n else 0.0, "high": values.high if values.n else 0.0,
        "typical": shown.typical, "largest": shown.largest, "signed": shown.signed,
        "rounded": values.rounded, "cells": packed(values.cells),
    }  # fmt: skip


def shared_of(source: Source, shared: str) -> dict[str, Any]:
    """The cells of one way of sharing scales, and the rule by which a format's scale follows.

    Args:
        source: the tensor, whose values are read.
        shared: a granularity as in a scheme, such as "g32" or "tensor@std".

    Returns:
        `rule` is "tensor" (one scale, from `reach`), "unit" (the same, where `reach` is what one
        unit of the format becomes), "block" (the scale is 1 over the format's reach), "units" (it
        is one) or "power" (a power of two under the reach); `middle` is the scale of a middle
        block for a reach of one, `extra` the bits a value that scales take, `loose` and `wobble`
        what a bound adds, `lost` how many values become NaN.

    Scales that depend on the format in another way raise `WorkbenchError`.

    Example:
        >>> from workbench.explorers import sources
        >>> found = shared_of(sources.find("synthetic:gaussian,4096,0"), "g32*e8m0")
        >>> found["rule"], found["extra"]
        ('power', 0.25)
    """
    probe = parse(f"{PROBE}/{shared}")
    scale, level = probe.scale, probe.scale.levels[0]
    if scale.granularity == "tensor":
        found = _of_tensor(source, probe, shared)
    elif level.name == "f32" and scale.range.kind == "absmax" and not scale.mean:
        found = _of_sketch(source, probe, "block")
    elif str(level) == "e8m0" and not scale.two_level and scale.range.kind == "absmax":
        found = _of_sketch(source, probe, "power")
    elif (level.name == "f32" or scale.two_level) and scale.granularity != "tile":
        found = _of_blocks(source, probe, shared)
    else:
        raise _unheld(shared)
    extra = probe.bits_per_value(source.shape) - probe.format.bits
    middle = measure.Scales.of(probe, measure.sample(source.array, reading.SAMPLE), 0.0).middle
    kind = {"group": scale.granularity == "group", "two": scale.two_level, "level": level.name}
    return {"text": str(scale)[1:], "extra": extra, "middle": middle, **kind, **found}


def _unheld(shared: str) -> WorkbenchError:
    return WorkbenchError(
        f"{shared!r}", "in a file, a scale is a number that no format changes but by its reach",
        "write tensor, channel, g32, g32*e8m0 or g16*e4m3fn*f32",
    )  # fmt: skip


def _of_tensor(source: Source, probe: Scheme, shared: str) -> dict[str, Any]:
    """One scale for all values, which are the tensor's own cells."""
    kind, values = probe.scale.range.kind, source.sketch.values
    if kind not in ("absmax", *_UNITS) or str(probe.scale) not in ("/tensor", f"/tensor@{kind}"):
        raise _unheld(shared)
    if kind == "absmax":
        return {"rule": "tensor", "reach": values.amax}
    return {"rule": "unit", "reach": values.unit[kind]}


def _of_sketch(source: Source, probe: Scheme, rule: str) -> dict[str, Any]:
    """Blocks in the unit that a sketch has for them already."""
    blocks = source.sketch_with(geometry_of(probe)).blocks[str(geometry_of(probe))]
    classes = blocks.class_ends[0].size
    cells, *_ = blocks.merged(np.ones(classes), np.ones(classes, bool))
    used = np.flatnonzero(blocks.sizes)
    exponents = [int(used[0]) - 127, int(used[-1]) - 127] if used.size else [0, 0]
    lost = blocks.lost if rule == "power" else 0  # there a NaN takes its whole block with it
    return {"rule": rule, "cells": packed(cells), "exponents": exponents, "lost": lost}


def _of_blocks(source: Source, probe: Scheme, shared: str) -> dict[str, Any]:
    """Blocks in units of the scales that a format reaching to one would have."""
    kind, two = probe.scale.range.kind, probe.scale.two_level
    if probe.scale.mean or kind == "mse" or (two and kind in _UNITS):
        raise _unheld(shared)
    layout = Layout.of(source.shape, -1, probe.scale)
    rows = layout.to_rows(source.array).astype(np.float32, copy=False)
    scales = apply.choose_scales(probe, rows, layout).scales
    finite = np.where(np.isfinite(rows), rows, np.float32(0))
    most = float((block_amax(finite, layout.size) / scales).max(initial=1.0))
    lift = 2.0 ** math.floor(math.log2(max(most, 1.0)))  # bins end at two units
    none, grid = np.zeros(0, np.int64), UNITS["amax"].grid
    units = np.ascontiguousarray(scales * np.float32(lift))
    filled, _ = block_cells(rows, layout.size, units, none, False, grid)
    both = filled[0, :2] + filled[0, 2:]
    side, bin_ = np.nonzero(both[..., 0])
    low, width = edges_of("amax")
    kept = both[side, bin_]
    cells = Cells(low[bin_], width[bin_], side, np.ascontiguousarray(kept[:, 1:]), kept[:, 0])
    loose = _loose(probe, shared, finite, layout, scales) if two else 0.0
    rule = "units" if kind in _UNITS else "block"
    return {"rule": rule, "lift": lift, "wobble": FLOAT32, "loose": loose,
            "cells": packed(cells)}  # fmt: skip


def _loose(
    probe: Scheme, shared: str, rows: np.ndarray, layout: Layout, scales: np.ndarray
) -> float:
    """How far the root of the squared error may move, where a rounded scale is at a tie.

    Which way it falls depends on the last bit of a format's own division. By Minkowski, a grid
    that moves by a relative w moves the root by no more than w times the norm of what is rounded.
    """
    moved = np.zeros(scales.shape)
    for reach in REACHES:
        other = parse(f"codebook({-reach},{reach})/{shared}")
        found = apply.choose_scales(other, rows, layout).scales * reach
        moved = np.maximum(moved, np.abs(found / scales - 1))
    moved = np.where(moved > FLOAT32, moved, 0)
    return 2 * float(np.sqrt(((layout.spread(moved) * rows.astype(np.float64)) ** 2).sum()))


def packed(cells: Cells) -> dict[str, Any]:
    """Cells as base64: edges fit in float32, moments stay float64.

    Example:
        >>> one = np.ones(1)
        >>> sorted(packed(Cells(one, one, one.astype(int), np.ones((1, 3)), one)))
        ['count', 'low', 'moments', 'side', 'width']
    """
    return {
        "low": base64_of(cells.low, "f4"), "width": base64_of(cells.width, "f4"),
        "side": base64_of(cells.side, "f4"), "count": base64_of(cells.count, "f8"),
        "moments": base64_of(cells.moments, "f8"),
    }  # fmt: skip


def base64_of(values: np.ndarray, dtype: str) -> dict[str, str]:
    """An array's little-endian bytes as text.

    Example:
        >>> base64_of(np.ones(1), "f4")
        {'dtype': 'f4', 'bdata': 'AACAPw=='}
    """
    flat = np.ascontiguousarray(values, f"<{dtype}")
    return {"dtype": dtype, "bdata": base64.b64encode(flat.tobytes()).decode()}
