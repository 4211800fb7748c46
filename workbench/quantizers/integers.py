"""Integer arithmetic on quantized tensors, and the folding of a batch normalization.

Source: Krishnamoorthi, 2018, and Jacob et al., 2018: with x = s (q - z) the product of two affine
tensors is four integer sums and one scale.
"""

from __future__ import annotations

import numpy as np

from ..errors import WorkbenchError
from ..schemes import QuantizedTensor


def affine_product(x: QuantizedTensor, w: QuantizedTensor) -> np.ndarray:
    """The product x W^T from integer codes and zero points, brought to scale at the end.

    sum (qx - zx)(qw - zw) = sum(qx qw) - zw sum(qx) - zx sum(qw) + n zx zw.

    Args:
        x: (rows, features) under an integer scheme with one scale a tensor or a row.
        w: (outputs, features) likewise.

    Returns:
        float64 (rows, outputs): integers, added exactly, times the two scales.

    Other schemes, or shapes that do not fit, raise `WorkbenchError`.

    Example:
        >>> import workbench as wb
        >>> x = wb.scheme("uint8/tensor+zp").quantize(np.float32([[0.5, 1.0]]))
        >>> w = wb.scheme("int8/channel").quantize(np.float32([[1.0, -1.0]]))
        >>> bool(np.allclose(affine_product(x, w), x.dequantize() @ w.dequantize().T))
        True
    """
    (qx, zx, sx), (qw, zw, sw) = _parts(x, "x"), _parts(w, "w")
    if qx.shape[1] != qw.shape[1]:
        raise WorkbenchError(
            f"{qx.shape[1]} and {qw.shape[1]} features", "rows are multiplied with rows",
            "give both as (rows, features)",
        )  # fmt: skip
    sums = qx @ qw.T - qx.sum(1, keepdims=True) * zw.T - zx * qw.sum(1) + qx.shape[1] * zx * zw.T
    return sums * (sx.astype(np.float64) * sw.astype(np.float64).T)


def _parts(q: QuantizedTensor, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integers int64 (rows, features); zero points int64 and scales, (rows or 1, 1)."""
    scale = q.scheme.scale
    integer = q.scheme.format.family == "integer" and scale is not None and not scale.mean
    if not integer or len(q.shape) != 2 or q.layout.scale_shape not in ((1, 1), (q.shape[0], 1)):
        raise WorkbenchError(
            f"{name} under {q.scheme}", "a product of integers takes one scale a tensor or a row",
            "write int8/channel, int8/token or int8/tensor+zp",
        )  # fmt: skip
    values = q.scheme.format.decode(q.codes).astype(np.int64)
    zeros = np.zeros((1, 1), np.int64) if q.zero_points is None else q.zero_points.astype(np.int64)
    return values, zeros, q.scales


def fold_batch_norm(
    weight: np.ndarray,
    bias: np.ndarray | None,
    mean: np.ndarray,
    variance: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    epsilon: float = 1e-5,
) -> tuple[np.ndarray, np.ndarray]:
    """The weight and bias of a layer that gives what the layer and its batch norm gave.

    Args:
        weight: float32 (outputs, ...), of a linear or a convolutional layer.
        bias: float32 (outputs,), or None.
        mean: of the norm, float32 (outputs,).
        variance: likewise.
        gain: likewise.
        offset: likewise.
        epsilon: of the norm.

    Example:
        >>> one = np.ones(2, np.float32)
        >>> w, b = fold_batch_norm(np.eye(2, dtype=np.float32), None, one, one, 2 * one, one, 0.0)
        >>> w.tolist(), b.tolist()
        ([[2.0, 0.0], [0.0, 2.0]], [-1.0, -1.0])
    """
    if not (np.asarray(variance) + epsilon > 0).all():
        raise WorkbenchError(
            "a variance that is not above 0", "the norm divides by its root", "give an epsilon"
        )
    factor = np.asarray(gain, np.float64) / np.sqrt(np.asarray(variance, np.float64) + epsilon)
    shape = (-1,) + (1,) * (np.ndim(weight) - 1)
    before = 0.0 if bias is None else np.asarray(bias, np.float64)
    folded = np.asarray(weight, np.float64) * factor.reshape(shape)
    return folded.astype(np.float32), (offset + (before - mean) * factor).astype(np.float32)
