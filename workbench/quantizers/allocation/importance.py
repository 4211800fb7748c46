"""Importance by gradient times weight, and what rounding a layer costs by it.

Source: Yvinec et al., 2023 ("Gradient-Based Post-Training Quantization: Challenging the Status
Quo"). How importance becomes bits there could not be established: here a scheme costs a layer its
importance times the squared rounding error over the square of the weight, since what a model loses
grows with the square of a small error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import WorkbenchError
from ...schemes import Scheme, parse


def importance(weight: np.ndarray, gradient: np.ndarray) -> float:
    """The sum of |weight x gradient|: the loss that the weights are worth, to first order.

    Args:
        weight: floats of any shape.
        gradient: of the same shape, or it is a `WorkbenchError`.

    Example:
        >>> importance(np.array([2.0, -1.0]), np.array([0.5, 3.0]))
        4.0
    """
    if np.shape(weight) != np.shape(gradient):
        raise WorkbenchError(
            f"a weight of shape {np.shape(weight)} and a gradient of {np.shape(gradient)}",
            "every weight has one", "pass the gradient of that weight",
        )  # fmt: skip
    return float(np.abs(np.multiply(weight, gradient, dtype=np.float64)).sum())


def importance_costs(
    weights: Mapping[str, np.ndarray],
    gradients: Mapping[str, np.ndarray],
    schemes: Sequence[str | Scheme],
) -> dict[str, dict[str, float]]:
    """What every scheme costs every layer: its importance times its weight's relative error.

    Args:
        weights: float32 (outputs, features) by layer.
        gradients: of the loss with respect to them.
        schemes: that each of them may take.

    Returns:
        Costs for `allocate`, beside the sizes of `weight_sizes`.

    Example:
        >>> w = {"a": np.float32([[7.0, 3.4]])}
        >>> costs = importance_costs(w, {"a": np.ones((1, 2))}, ["int4/channel", "int8/channel"])
        >>> costs["a"]["int8/channel"] < costs["a"]["int4/channel"]
        True
    """
    parsed = {str(text): parse(text) for text in schemes}
    costs: dict[str, dict[str, float]] = {}
    for name, weight in weights.items():
        worth = importance(weight, gradients[name])
        size = float(np.square(weight, dtype=np.float64).sum()) or 1.0
        costs[name] = {
            text: worth
            * float(np.square(scheme.round(weight) - weight, dtype=np.float64).sum())
            / size
            for text, scheme in parsed.items()
        }
    return costs
