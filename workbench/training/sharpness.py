"""How much a small change of the logits can raise the loss: sharpness without a gradient.

Keskar et al. (2017) look for the largest loss in a small box around the weights; Lee et al., "To
FP8 and back again" (2024), take the box around the logits, where for the cross entropy the largest
loss lies at a known corner.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels import arrays


def logit_sharpness(logits: Any, targets: Any, epsilon: float = 5e-4) -> float:
    """100 (max L(z + d) - L(z)) / (1 + L(z)) over |d_i| <= epsilon (|z_i| + 1), L in nats.

    The cross entropy rises with every logit but the target's, and falls with that one, so the
    largest loss is where all others are as high and the target's is as low as the box allows.

    Args:
        logits: array or tensor (n, classes), or (classes,) for a single one.
        targets: the right class of each, integers (n,) or a number.
        epsilon: half the width of the box around a logit of 0.

    Returns:
        The figure of the mean loss of all rows; 0 or more, in percent.

    Example:
        >>> round(logit_sharpness([[2.0, 0.0, -1.0]], [0]), 4)
        0.0285
    """
    z = np.atleast_2d(arrays.to_numpy(logits)).astype(np.float64)
    y = np.atleast_1d(np.asarray(targets))
    if y.shape != z.shape[:1] or y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= z.shape[1]:
        raise WorkbenchError(
            f"targets of shape {y.shape} and {y.dtype}",
            f"logits of shape {z.shape} want a class from 0 to {z.shape[1] - 1} for each row",
            "pass integers, one a row",
        )
    right = np.arange(z.shape[1]) == y[:, None]
    reach = epsilon * (np.abs(z) + 1)
    plain, worst = _loss(z, y), _loss(z + np.where(right, -reach, reach), y)
    return float(100 * (worst - plain) / (1 + plain))


def _loss(z: np.ndarray, y: np.ndarray) -> float:
    """The mean cross entropy in nats."""
    most = z.max(axis=1, keepdims=True)
    total = np.log(np.exp(z - most).sum(axis=1)) + most[:, 0]
    return float((total - z[np.arange(y.size), y]).mean())
