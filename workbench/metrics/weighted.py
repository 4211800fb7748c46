"""The error of weights as the layer's output feels it: squared, and weighted by its inputs.

For inputs X and a weight error D the output differs by X D'; its squared size is tr(D H D') with
the second moment H = X'X, half the Hessian of that loss (Hassibi and Stork 1993, "Second order
derivatives for network pruning"; Frantar et al. 2023, "GPTQ").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels import arrays
from ..kernels.threads import CHUNK
from .covariances import checked_symmetric


def weighted_squares(matrix: Any, second_moment: Any) -> np.ndarray:
    """The squared size d H d' of every row d of a matrix under a second moment.

    Args:
        matrix: D, finite floats `(out, in)`, weights or their error.
        second_moment: H, symmetric floats `(in, in)`, positive semidefinite; sum or mean over the
            tokens, in the squared unit of the inputs.

    Returns:
        float64 `(out,)`, 0 or more.

    Matrices that do not fit, an H that is not positive semidefinite along some row, NaN and
    infinities raise `WorkbenchError`.

    Example:
        >>> weighted_squares([[1.0, 0.0], [1.0, 1.0]], [[2.0, 0.5], [0.5, 1.0]]).tolist()
        [2.0, 4.0]
    """
    rows = arrays.to_numpy(matrix)
    moment = checked_symmetric(second_moment, "a second moment")
    if rows.ndim != 2 or rows.shape[1] != moment.shape[0]:
        raise WorkbenchError(
            f"weights of shape {rows.shape} under a second moment of {moment.shape}",
            "a row of weights has an entry for each input",
            "pass (out, in) and (in, in); the second moment of inputs x is x.T @ x",
        )
    if not np.isfinite(rows).all():
        raise WorkbenchError(
            "weights with NaN or infinities", "their error has no value",
            "look for them: np.argwhere(~np.isfinite(w))",
        )  # fmt: skip
    step = max(1, CHUNK // rows.shape[1])
    out = np.empty(rows.shape[0])
    for start in range(0, rows.shape[0], step):
        part = rows[start : start + step].astype(np.float64)
        out[start : start + step] = _products(part, moment)
    return out


def _products(rows: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """The size D H D' of every row D; what is negative by rounding is 0."""
    squares = np.einsum("ij,ij->i", rows @ moment, rows)
    lengths = np.einsum("ij,ij->i", rows, rows)
    if (squares < -1e-9 * np.abs(moment).sum(axis=1).max(initial=0) * lengths).any():
        raise WorkbenchError(
            "a second moment that makes a row's squared error negative",
            "it is no x.T @ x, which is positive semidefinite",
            "pass the second moment of inputs x: x.T @ x",
        )
    return np.maximum(squares, 0.0)


def weighted_error(difference: Any, second_moment: Any) -> float:
    """The squared error tr(D H D') of a layer's output, for a weight error D; 0 without rows.

    Args:
        difference: D = rounded minus original weights, finite floats `(out, in)`.
        second_moment: H, symmetric floats `(in, in)`; where it is a mean over tokens, so is this.

    Example:
        >>> weighted_error([[1.0, 0.0], [1.0, 1.0]], [[2.0, 0.5], [0.5, 1.0]])
        6.0
    """
    return float(weighted_squares(difference, second_moment).sum())


def relative_weighted_error(weight: Any, rounded: Any, second_moment: Any) -> float:
    """The squared output error over the squared output: tr(D H D') / tr(W H W').

    Args:
        weight: W, finite floats `(out, in)`.
        rounded: W after quantization, of the same shape; D is its difference from W.
        second_moment: H, symmetric floats `(in, in)`.

    Returns:
        A ratio of powers, 0 or more; inf where only the rounded weights have an output.

    Example:
        >>> relative_weighted_error([[2.0, 0.0]], [[1.0, 0.0]], np.eye(2))
        0.25
    """
    first, second = arrays.to_numpy(weight), arrays.to_numpy(rounded)
    if first.shape != second.shape:
        raise WorkbenchError(
            f"weights of shapes {first.shape} and {second.shape}",
            "they are compared one by one",
            "pass the original and its rounded copy",
        )
    with np.errstate(invalid="ignore"):  # infinities less themselves are refused below
        difference = second.astype(np.float64) - first
    error = weighted_error(difference, second_moment)
    signal = weighted_error(first, second_moment)
    if error == 0:
        return 0.0
    return error / signal if signal else math.inf
