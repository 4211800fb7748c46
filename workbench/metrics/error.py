"""The exact error of a tensor under a scheme, split by cause, with bounded memory.

Values are worked through in pieces of about a megabyte; the sums of the pieces are float64 and
added in order, so that the report is the same for any number of threads.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..formats import Format
from ..kernels import arrays
from ..kernels.errors import FIELDS, error_sums
from ..kernels.threads import CHUNK, over_chunks
from ..schemes import Layout, Scale, ScaleFormat, Scheme, parse
from ..schemes.apply import choose_scales, offsets, round_scaled
from ..schemes.report import ErrorReport, clip_limits

_CAST = Scale()  # a plain cast is worked through like a tensor with one scale of 1


def error(x: Any, scheme: Scheme | Format | str, axis: int = -1) -> ErrorReport:
    """The exact error of `x` rounded to nearest-even under a scheme.

    Args:
        x: array or tensor of any shape, float16, bfloat16, float32 or float64; NaN and infinities
            are left out and counted. An empty array gives zeros.
        scheme: a scheme, a format, or the text of either.
        axis: the axis along which values share scales.

    Returns:
        An `ErrorReport` with bound 0.

    Example:
        >>> report = error(np.float32([1.0, 5.0, 7.5, 0.1]), "e2m1")
        >>> round(report.sqnr, 2), round(report.causes["clipping"], 4)
        (14.02, 0.5625)
    """
    scheme = as_scheme(scheme)
    values = arrays.to_numpy(x.cpu() if arrays.on_device(x) else x)
    layout = Layout.of(values.shape, axis, scheme.scale or _CAST)
    rows = layout.to_rows(values) if values.size else values.reshape(0, 0)
    work = _Pieces(scheme, rows, layout) if values.size else None
    sums = work.total() if work else np.zeros(len(FIELDS))
    return _report(dict(zip(FIELDS, sums.tolist(), strict=True)))


def as_scheme(scheme: Scheme | Format | str) -> Scheme:
    """A scheme from a scheme, a format (a plain cast) or the text of either.

    Example:
        >>> str(as_scheme("int8"))
        'int8/tensor'
    """
    if isinstance(scheme, Format):
        return Scheme(scheme)
    return parse(scheme) if isinstance(scheme, str) else scheme


def _report(sums: dict[str, float]) -> ErrorReport:
    n = max(1, int(sums["finite"]))
    causes = {c: sums[c] / n for c in ("rounding", "clipping", "underflow", "scale")}
    return ErrorReport(
        n=int(sums["finite"]),
        signal=sums["signal"] / n,
        mse=max(0.0, sum(causes.values())),
        max_error=sums["largest"],
        causes=causes,
        n_nan=int(sums["nan"]),
        n_inf=int(sums["infinite"]),
    )


class _Pieces:
    """The rows of a tensor in pieces, each with its part of the scales."""

    def __init__(self, scheme: Scheme, rows: np.ndarray, layout: Layout):
        self.scheme, self.rows, self.layout = scheme, rows, layout
        self.scales, self.zeros = _scales(scheme, rows, layout)
        self.plain = scheme
        self.plain_scales, self.plain_zeros = self.scales, self.zeros
        self.limits = clip_limits(scheme.element)
        if scheme.scale is None:
            return
        if scheme.scale.zero_point:
            first, last = scheme.code_range
            self.limits = first - 0.5, last + 0.5
        if scheme.scale.levels != (ScaleFormat(),):
            self.plain = replace(scheme, scale=replace(scheme.scale, levels=(ScaleFormat(),)))
            self.plain_scales, self.plain_zeros = _scales(self.plain, rows, layout)

    def total(self) -> np.ndarray:
        """The sums of all pieces, added in order."""
        pieces = self._pieces()
        parts = over_chunks(
            lambda a, b: [self._sums(*piece) for piece in pieces[a:b]], len(pieces), CHUNK
        )
        flat = [sums for part in parts for sums in part]
        total = np.sum(flat, axis=0)
        total[-1] = max(sums[-1] for sums in flat)
        return total

    def _pieces(self) -> list[tuple[slice, slice]]:
        """Row and column ranges of about CHUNK values that cover all rows."""
        count, cols = self.rows.shape
        if cols <= CHUNK:
            step = max(1, CHUNK // cols)
            return [(slice(r, r + step), slice(0, cols)) for r in range(0, count, step)]
        starts = range(0, cols, CHUNK)
        return [(slice(r, r + 1), slice(c, c + CHUNK)) for r in range(count) for c in starts]

    def _sums(self, down: slice, along: slice) -> np.ndarray:
        x = np.ascontiguousarray(self.rows[down, along])
        scale, zero = self._part(self.scales, x, down, along), None
        if self.zeros is not None:
            zero = self._part(self.zeros, x, down, along)
        y = _rounded(self.scheme, x, scale, zero)
        plain = y
        if self.plain is not self.scheme:
            s = self._part(self.plain_scales, x, down, along)
            z = None if zero is None else self._part(self.plain_zeros, x, down, along)
            plain = _rounded(self.plain, x, s, z)
        choice = zero
        zero = np.zeros(1) if self.scheme.scale is None else offsets(self.scheme, scale, zero)
        zero = np.broadcast_to(np.float32(zero), x.shape)
        x, y, plain, scale, zero = (np.ravel(a) for a in (x, y, plain, scale, zero))
        if self.scheme.parts:
            return self._sums_by_part(x, y, plain, scale, np.ravel(choice))
        return error_sums(x, y, plain, scale, zero, self.limits)

    def _sums_by_part(self, x, y, plain, scale, choice) -> np.ndarray:
        """The same for a mixture, whose parts end at different values."""
        total = np.zeros(len(FIELDS))
        for number, part in enumerate(self.scheme.parts):
            mine = choice == number
            zeros = np.zeros(int(mine.sum()))
            sums = error_sums(
                x[mine], y[mine], plain[mine], scale[mine], zeros, clip_limits(part.element)
            )
            largest = max(total[-1], sums[-1])
            total += sums
            total[-1] = largest
        return total

    def _part(self, figures: np.ndarray, x: np.ndarray, down: slice, along: slice) -> np.ndarray:
        """Each value's own scale or zero point for one piece."""
        part = figures[down]
        if part.shape[1] == 1:
            return np.broadcast_to(part, x.shape)
        blocks = np.arange(along.start, along.start + x.shape[1]) // self.layout.size
        return part[:, blocks]


def _rounded(scheme: Scheme, x: np.ndarray, scale: np.ndarray, zero: np.ndarray | None):
    if scheme.scale is None:
        return scheme.format.round(x)
    return round_scaled(scheme, x, scale, zero)


def _scales(scheme: Scheme, rows: np.ndarray, layout: Layout):
    """Scales and zero points, one row of them for every row of values."""
    if scheme.scale is None:
        return np.ones((1, 1), np.float32), None
    scales, zeros, _ = choose_scales(scheme, rows, layout)
    if layout.stack > 1:
        heights = np.diff([*layout.bands, layout.rows])
        scales = np.repeat(scales, heights, axis=0)
        zeros = None if zeros is None else np.repeat(zeros, heights, axis=0)
    return scales, zeros
