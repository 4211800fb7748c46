"""Scales that a solver moves: parts of them by rows, what shares one, and how they are stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ...errors import WorkbenchError
from ...kernels.scales import scales_of
from ...schemes import Scheme
from ...schemes.apply import Chosen
from ...schemes.fitted import Fitted
from ...schemes.layout import Layout
from .base import by_rows

Part = Callable[[slice, Fitted], tuple[np.ndarray, Chosen]]


def check_scaled(name: str, scheme: Scheme) -> None:
    """Raise where a scheme has no scales that the solver `name` could move."""
    if scheme.scale is None:
        why = "it has no scale that could be moved"
        raise WorkbenchError(f"{name} for {scheme}", why, f"write {scheme}/channel, or nearest")
    if scheme.parts:
        raise WorkbenchError(
            f"{name} for {scheme}", "each block has a grid of its own",
            "choose one of them, or write nearest",
        )  # fmt: skip


def in_parts(fitted: Fitted, solve: Part, chunk: int) -> tuple[np.ndarray, Fitted]:
    """Solve the rows of a matrix in chunks where they have scales of their own, else at once.

    Args:
        fitted: of the whole matrix, (outputs, features).
        solve: is given rows, and the scheme with their scales; gives values and scales of them.
        chunk: how many rows are solved together; chunks are shared out between threads.

    Returns:
        Values and scales of the whole, the same for any number of threads.

    Example:
        >>> from workbench.schemes import parse
        >>> w = np.float32([[7, 1], [14, 2], [21, 3]])
        >>> values, fitted = in_parts(parse("int4/channel").fit(w),
        ...                           lambda rows, mine: (mine.round(w[rows]), mine.chosen), 2)
        >>> values.tolist(), fitted.chosen.scales.ravel().tolist()
        ([[7.0, 1.0], [14.0, 2.0], [21.0, 3.0]], [1.0, 2.0, 3.0])
    """
    rows, found = fitted.shape[0], {}
    alone = len(fitted.chosen.scales) == rows
    values = np.empty(fitted.shape, np.float32)

    def part(at: slice) -> None:
        values[at], found[at.start] = solve(at, of_rows(fitted, at) if alone else fitted)

    by_rows(part, rows, chunk if alone else rows)
    scales, zeros, _ = zip(*(found[start] for start in sorted(found)), strict=True)
    joined = None if zeros[0] is None else np.concatenate(zeros)
    chosen = Chosen(np.concatenate(scales), joined, fitted.chosen.whole)
    return values, replace(fitted, chosen=chosen)


def of_rows(fitted: Fitted, rows: slice) -> Fitted:
    """The scheme with the scales of some rows, each of which has its own."""
    scales, zeros, whole = fitted.chosen
    zeros = None if zeros is None else zeros[rows]
    chosen = Chosen(scales[rows], zeros, whole[rows] if isinstance(whole, np.ndarray) else whole)
    return replace(fitted, shape=(rows.stop - rows.start, fitted.shape[1]), chosen=chosen)


def bands(fitted: Fitted) -> np.ndarray:
    """Of every row of a matrix, the number of its row of scales, int64.

    Example:
        >>> from workbench.schemes import parse
        >>> [bands(parse(text).fit(np.ones((3, 4)))).tolist()
        ...  for text in ("int4/g2", "int4/t2x2", "int4/tensor")]
        [[0, 1, 2], [0, 0, 1], [0, 0, 0]]
    """
    rows, layout = fitted.shape[0], fitted.layout
    if layout.rows != rows:  # one scale for the tensor, whose layout is a single row
        return np.zeros(rows, int)
    heights = [stop - start for start, stop in pairwise([*layout.bands, rows])]
    return np.repeat(np.arange(len(heights)), heights)


def block_sums(values: np.ndarray, layout: Layout) -> np.ndarray:
    """The sums of all values that share a scale, of layout.scale_shape; values are its rows."""
    starts = np.arange(0, layout.cols, layout.size)
    return layout.reduce(np.add.reduceat(values, starts, axis=1), np.add)


def stored(fitted: Fitted, scales: np.ndarray) -> np.ndarray:
    """Positive scales as they come back from the format that they are stored in, float32.

    Powers of two are the nearest in octaves, whatever the rule by which a range chooses them.

    Example:
        >>> from workbench.schemes import parse
        >>> stored(parse("mxfp4").fit(np.ones((1, 64))), np.float32([[1.4, 1.5]])).tolist()
        [[1.0, 2.0]]
    """
    scheme, narrow = fitted.scheme, scales.astype(np.float32)
    level, whole = scheme.scale.levels[0], fitted.chosen.whole
    if level.name == "f32":
        return narrow
    if not level.is_power:
        rule = scheme.rule(float(whole))
        return scales_of(narrow * rule.q, rule)
    row = np.float32(whole if level.of_row else 1)
    least = np.clip(-125 - np.frexp(row)[1], -128, 0)
    octaves = np.clip(np.rint(np.log2(narrow / row)), least, 127)
    return np.ldexp(row, octaves.astype(np.int32)).astype(np.float32, copy=False)
