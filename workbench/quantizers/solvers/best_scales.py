"""The exact scales, and offsets, of least squared output error for codes that stay as they are.

A weight is s K + z in every block, so the error is a quadratic of all s and z that belong to a row:
2 x 2 normal equations with one block a row, 2 G x 2 G with G of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...schemes import apply
from ...schemes.apply import Chosen
from ...schemes.fitted import Fitted
from .moved_scales import bands, stored

RIDGE = 1e-12  # on the diagonal of normal equations of unit diagonal


def codes_of(fitted: Fitted, values: np.ndarray) -> np.ndarray:
    """The grid's values, float32, that a matrix at values of a scheme stands for."""
    rows = fitted.layout.to_rows(values)
    codes = apply.scaled_values(fitted.scheme, rows, fitted.scales, fitted.zeros)
    return fitted.layout.from_rows(codes).astype(np.float32, copy=False)


def values_of(fitted: Fitted, codes: np.ndarray) -> np.ndarray:
    """The float32 values that the grid's values stand for."""
    rows = fitted.layout.to_rows(codes)
    back = apply.restore(fitted.scheme, rows, fitted.scales, fitted.zeros)
    return fitted.layout.from_rows(back).astype(np.float32, copy=False)


def best_scales(
    fitted: Fitted, codes: np.ndarray, weight: np.ndarray, square: np.ndarray
) -> Fitted:
    """The scales with which codes come nearest to a weight.

    Args:
        fitted: where the scales are now.
        codes: the grid's values, (outputs, features).
        weight: what they should come to, (outputs, features).
        square: float64 (features, features), products of the inputs.

    Returns:
        The same scheme with the best scales, as they are stored. Means are solved for with them;
        so are zero points, which are then rounded before the scales are solved for once more.
        Rows of scales of which one would not be positive stay as they are.

    Example:
        >>> from workbench.schemes import parse
        >>> w = np.float32([[0.0, 1.0, 2.0, 3.0]])
        >>> found = best_scales(parse("int2/channel+mean").fit(w), w - 2, w, np.eye(4)).chosen
        >>> found.scales.round(5).tolist(), found.zeros.round(5).tolist()
        ([[1.0]], [[2.0]])
    """
    scale, (scales, zeros, whole) = fitted.scheme.scale, fitted.chosen
    units = codes.astype(np.float64)
    if scale.zero_point:
        zeros = _zero_points(fitted, units, weight, square)
        units = units - _spread(fitted, zeros)
    step, shift = _steps(fitted, units, weight, square, offset=scale.mean)
    found = stored(fitted, scales + step)
    if scale.mean:
        zeros = (zeros + shift).astype(np.float32)
    fine = (scales + step > 0).all(axis=1, keepdims=True)
    if zeros is not None:
        zeros = np.where(fine, zeros, fitted.chosen.zeros)
    return replace(fitted, chosen=Chosen(np.where(fine, found, scales), zeros, whole))


def _zero_points(fitted: Fitted, codes, weight, square) -> np.ndarray:
    """The zero points nearest to the best offsets, as codes of the format, float32."""
    scales, zeros, _ = fitted.chosen
    units = codes - _spread(fitted, zeros)
    step, shift = _steps(fitted, units, weight, square, offset=True)
    best = scales + step
    points = np.rint(zeros - shift / np.where(best > 0, best, np.inf))
    return np.clip(points, *fitted.scheme.code_range).astype(np.float32)


def _steps(
    fitted: Fitted, units: np.ndarray, weight: np.ndarray, square: np.ndarray, offset: bool
) -> tuple[np.ndarray, np.ndarray | float]:
    """How far the scales of `units`, and offsets where wanted, are from the best, float64.

    With units u and their values v now, the columns d of the least-squares problem are u in one
    block and 0 elsewhere, and for an offset 1 and 0; the steps solve (d S d) step = d S (w - v).
    """
    layout, (rows, columns) = fitted.layout, units.shape
    size = columns if layout.rows != rows else layout.size  # a tensor's layout is a single row
    starts = np.arange(0, columns, size)
    values = units * _spread(fitted, fitted.chosen.scales.astype(np.float64))
    if fitted.scheme.scale.mean:
        values = values + _spread(fitted, fitted.chosen.zeros)
    lack = (weight - values) @ square
    parts = [units, np.ones((1, columns))] if offset else [units]

    def sums(row: np.ndarray) -> np.ndarray:
        """The sums over each block of a row times each part, (rows, unknowns)."""
        each = (np.add.reduceat(np.broadcast_to(row * part, units.shape), starts, axis=1)
                for part in parts)  # fmt: skip
        return np.concatenate(list(each), axis=1)

    normal = [sums(part[:, first : first + size] @ square[first : first + size])
              for part in parts for first in starts]  # fmt: skip
    firsts = np.flatnonzero(np.diff(bands(fitted), prepend=-1))
    found = _solved(
        np.add.reduceat(np.stack(normal, axis=1), firsts, axis=0),
        np.add.reduceat(sums(lack), firsts, axis=0),
    )
    return found[:, : starts.size], found[:, starts.size :] if offset else 0.0


def _solved(normal: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The solutions of symmetric systems, which may be singular: 0 where nothing is asked."""
    size = np.sqrt(np.einsum("kii->ki", normal))
    size = np.where(size > 0, size, 1)
    scaled = normal / size[:, :, None] / size[:, None, :]
    each = np.arange(right.shape[1])
    scaled[:, each, each] = 1 + RIDGE
    return np.linalg.solve(scaled, (right / size)[:, :, None])[:, :, 0] / size


def _spread(fitted: Fitted, each: np.ndarray) -> np.ndarray:
    """What belongs to blocks, for every value of the matrix."""
    layout = fitted.layout
    return layout.from_rows(np.broadcast_to(layout.spread(each), (layout.rows, layout.cols)))
