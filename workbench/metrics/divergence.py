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


def top_k_divergence(
    teacher: Any, student: Any, k: int, weight: float = 1.0, temperature: float = 1.0
) -> float:
    """The divergence over all tokens and, weighed beside it, that over the k likeliest ones.

    KL over the whole vocabulary, where the unlikely tokens are the teacher's implicit knowledge,
    plus `weight` times KL over the teacher's k likeliest, both predictions renormalised over them.
    The published formula could not be established: this is an interpretation of its description.

    Args:
        teacher: logits of the original model, finite floats `(..., vocabulary)`.
        student: logits of the quantized one, of the same shape.
        k: how many tokens, 1 to the vocabulary.
        weight: of the second term, 0 or more.
        temperature: that logits are divided by in both terms, above 0.

    Returns:
        The mean over all positions in nats; what cannot be compared raises `WorkbenchError`.

    Source: Ding et al. 2025 ("Dissecting Bit-Level Scaling Laws in Quantizing Vision Generative
    Models"), TopKLD.

    Example:
        >>> top_k_divergence([[2.0, 1.0, -9.0]], [[2.0, 1.0, 9.0]], k=2, weight=7.0) == kl_top(
        ...     [[2.0, 1.0, -9.0]], [[2.0, 1.0, 9.0]])
        True
    """
    if not (temperature > 0 and weight >= 0):
        raise WorkbenchError(
            f"temperature {temperature}, weight {weight}",
            "logits are divided by the one and a term is added with the other",
            "write temperature=1.0, weight=1.0",
        )
    p, q = (
        arrays.to_numpy(logits).astype(np.float64) / temperature for logits in (teacher, student)
    )
    return kl_top(p, q) + weight * kl_top(p, q, k)


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
