"""How far the predictions of a quantized model are from those of the original."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels import arrays


def kl_top(teacher: Any, student: Any, k: int | None = None) -> float:
    """The divergence KL(teacher || student) over the teacher's k likeliest tokens, in nats.

    Both predictions are renormalised over those tokens, so that noise on the many unlikely ones
    counts for nothing. With k = the whole vocabulary it is the usual divergence.

    Args:
        teacher: logits of the original model, finite floats `(..., vocabulary)`.
        student: logits of the quantized one, of the same shape.
        k: how many tokens, 1 to the vocabulary; None for all.

    Returns:
        The mean over all positions; logits of different shapes, without a position, or with NaN
        or infinities raise `WorkbenchError`.

    Source: Hu et al. 2025 ("OSTQuant"), section 4, KL-Top loss; it uses k = 1000.

    Example:
        >>> kl_top([[2.0, 1.0, -9.0]], [[2.0, 1.0, 9.0]], k=2)
        0.0
    """
    p, q = (arrays.to_numpy(logits).astype(np.float64) for logits in (teacher, student))
    if p.shape != q.shape or not p.ndim or not p.size:
        raise WorkbenchError(
            f"logits of shapes {p.shape} and {q.shape}",
            "predictions are compared token by token",
            "pass (positions, vocabulary) of both models",
        )
    if not (np.isfinite(p).all() and np.isfinite(q).all()):
        raise WorkbenchError(
            "logits with NaN or infinities", "their divergence has no value",
            "leave those positions out",
        )  # fmt: skip
    p, q = _top(p, q, p.shape[-1] if k is None else k)
    p, q = (logits - _log_total(logits) for logits in (p, q))
    return max(0.0, float((np.exp(p) * (p - q)).sum(axis=-1).mean()))


def _top(p: np.ndarray, q: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Both logits of the tokens whose first ones are the largest."""
    vocabulary = p.shape[-1]
    if not 1 <= k <= vocabulary:
        raise WorkbenchError(
            f"k = {k}", f"the vocabulary has {vocabulary} tokens", f"write 1 to {vocabulary}"
        )
    if k == vocabulary:
        return p, q
    chosen = np.argpartition(p, vocabulary - k, axis=-1)[..., -k:]
    return np.take_along_axis(p, chosen, -1), np.take_along_axis(q, chosen, -1)


def _log_total(logits: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of the exponentials along the last axis."""
    top = logits.max(axis=-1, keepdims=True)
    return top + np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
