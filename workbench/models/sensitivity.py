"""How sensitive a model is to each of its layers: measured with it quantized, or foretold.

The truth is what changes with one layer quantized. Foretelling it are three measures of CPTQuant
(Nanda et al., 2024): pruning a layer (PMPQ), a first-order expansion (TDMPQ), and how a block's
outputs correlate with others (CMPQ); and gradients, for the importance of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.errors import WorkbenchError, unknown
from workbench.kernels.threads import one_torch_thread
from workbench.metrics.correlations import mean_correlation
from workbench.models.calibrate import Calibrations
from workbench.models.language import LanguageModel, TextModel
from workbench.models.watched import ORDERS, Units, Watched, by_layer, outputs_of, side_by_side
from workbench.quantizers.layer import Layer, QuantizedLayer
from workbench.quantizers.recipe import Recipe
from workbench.quantizers.rewrites import Rewrite


def quantized(
    watched: Watched, recipe: Recipe, units: Units | None = None, known: Calibrations | None = None
) -> dict[str, float]:
    """The truth: the figure with one unit quantized and all others in float.

    Args:
        watched: the model and its tokens.
        recipe: of every layer.
        units: what is quantized at once; None for single layers.
        known: calibration, for recipes whose parts look at inputs.

    >>> from workbench import models
    >>> watched = Watched(models.open_model("reference"), models.held_out_text(), 128, figure="kl")
    >>> few = {"first": ["layers.0.mlp.down_proj"]}
    >>> quantized(watched, Recipe.parse("w=int2/channel"), few)["first"] > 0.001
    True
    """

    def made(layer: Layer) -> QuantizedLayer:
        return recipe.apply(layer, None if known is None else known[layer.name])

    return _each(watched, units, made)


def pruned(
    watched: Watched, sparsities: Sequence[float] = (0.3, 0.5, 0.7), units: Units | None = None
) -> dict[str, float]:
    """PMPQ: the figure with the smallest weights of one unit taken out, a mean over sparsities.

    Args:
        watched: the model and its tokens.
        sparsities: shares of a layer's weights, between 0 and 1, or it is a `WorkbenchError`.
        units: what is pruned at once; None for single layers.

    >>> from workbench import models
    >>> watched = Watched(models.open_model("reference"), models.held_out_text(), 128)
    >>> few = {"first": ["layers.0.mlp.down_proj"]}
    >>> pruned(watched, [0.3], few)["first"] < pruned(watched, [0.7], few)["first"]
    True
    """
    if not sparsities or not all(0 < share < 1 for share in sparsities):
        raise WorkbenchError(
            f"sparsities {list(sparsities)}", "they lie between 0 and 1", "write [0.3, 0.5, 0.7]"
        )
    each = [_each(watched, units, partial(_pruned, share)) for share in sparsities]
    return {unit: float(np.mean([one[unit] for one in each])) for unit in each[0]}


def first_order(
    watched: Watched, recipe: Recipe, units: Units | None = None, step: float = 0.02
) -> dict[str, float]:
    """TDMPQ: the figure that a first-order expansion foretells, gradient times rounding error.

    The gradient along the rounding error is a quotient of differences: the weights move a small
    step towards their rounded values. Squared figures are those of the linear change.

    Args:
        watched: the model and its tokens.
        recipe: whose rounding error is the direction; without transforms, which would change the
            inputs too, or it is a `WorkbenchError`.
        units: what moves at once; None for single layers.
        step: the share of the rounding error that is gone.

    >>> from workbench import models
    >>> watched = Watched(models.open_model("reference"), models.held_out_text(), 128)
    >>> recipe, few = Recipe.parse("w=int6/channel"), {"first": ["layers.0.mlp.down_proj"]}
    >>> foretold, found = first_order(watched, recipe, few), quantized(watched, recipe, few)
    >>> abs(foretold["first"] / found["first"] - 1) < 0.05
    True
    """
    if recipe.transforms:
        raise WorkbenchError(
            str(recipe), "its rewrites change what a weight is multiplied with",
            "leave its transforms out",
        )  # fmt: skip

    def moved(layer: Layer) -> QuantizedLayer:
        rounded = recipe.apply(layer).effective
        return _kept(layer, layer.weight + np.float32(step) * (rounded - layer.weight))

    scale = step ** ORDERS[watched.figure]
    return {unit: value / scale for unit, value in _each(watched, units, moved).items()}


def noisy_inputs(
    watched: Watched, size: float = 0.01, units: Units | None = None, seed: int = 0
) -> dict[str, float]:
    """TDMPQ read otherwise: the figure with a little normal noise on a unit's inputs.

    Args:
        watched: the model and its tokens.
        size: of the noise, relative to the root mean square of a layer's inputs.
        units: what gets noise at once; None for single layers.
        seed: of the noise.

    Returns:
        The figure over the power of `size` that it grows with.

    >>> from workbench import models
    >>> watched = Watched(models.open_model("reference"), models.held_out_text(), 128)
    >>> 0 < noisy_inputs(watched, units={"first": ["layers.0.mlp.down_proj"]})["first"] < 1
    True
    """
    found = {}
    for unit, layers in _layers(watched, units).items():
        generator = torch.Generator().manual_seed(seed)
        hook = _noise(size, generator)
        handles = [linear.register_forward_pre_hook(hook) for linear in layers.values()]
        try:
            found[unit] = watched.distance(watched.model) / size ** ORDERS[watched.figure]
        finally:
            for handle in handles:
                handle.remove()
    return found


def _noise(size: float, generator: torch.Generator) -> Callable[[nn.Module, tuple], tuple]:
    """A hook that adds normal noise to what a module is given."""

    def disturb(module: nn.Module, inputs: tuple) -> tuple:
        x = inputs[0]
        noise = torch.randn(x.shape, generator=generator)
        return (x + size * x.square().mean().sqrt() * noise, *inputs[1:])

    return disturb


def uncorrelated(
    model: TextModel, data: Any, to: str = "next", tokens: int = 2048, window: int = 64
) -> dict[str, float]:
    """CMPQ: 1 less the mean canonical correlation of each block's outputs with others'.

    Args:
        model: in float.
        data: text, bytes or token numbers; several times as many tokens as channels are needed.
        to: "next" for the mean over the blocks before and after, "last" for what the model gives;
            an encoder gives what its last block does, which therefore gets 0.
        tokens: how many are read at most.
        window: tokens that are read at once.

    >>> from workbench import models
    >>> found = uncorrelated(models.open_model("reference"), models.held_out_text(), tokens=1024)
    >>> list(found), all(0 <= value <= 1 for value in found.values())
    (['layers.0', 'layers.1', 'layers.2', 'layers.3'], True)
    """
    if to not in ("next", "last"):
        raise unknown("comparison", to, ("next", "last"))
    ids = side_by_side(model, data, tokens, window)
    with one_torch_thread(), outputs_of(model.blocks()) as found:
        final = model.run(ids)
    rows = [one.flatten(0, -2).numpy() for one in found.values()]
    if to == "last":
        near = [[mean_correlation(one, final.flatten(0, -2).numpy())] for one in rows]
    else:
        beside = [mean_correlation(a, b) for a, b in pairwise(rows)]
        near = [beside[max(at - 1, 0) : at + 1] for at in range(len(rows))]
    return {name: 1 - float(np.mean(each)) for name, each in zip(found, near, strict=True)}


def loss_gradients(model: LanguageModel, ids: Tensor) -> dict[str, np.ndarray]:
    """The mean magnitude of each weight's gradient of the loss, over windows.

    At a trained model gradients add up to almost nothing; their magnitudes do not.

    Args:
        model: in float.
        ids: int64 (windows, tokens), as of `side_by_side`.

    Returns:
        float32 arrays of the weights' shapes, by the layers' names; an encoder, which has no loss,
        is a `WorkbenchError`.

    >>> from workbench import models
    >>> model = models.open_model("reference")
    >>> found = loss_gradients(model, side_by_side(model, models.held_out_text(), 128, 64))
    >>> found["layers.0.mlp.down_proj"].shape
    (256, 512)
    """
    if not isinstance(model, LanguageModel):
        raise WorkbenchError(
            f"gradients of {model.name}", "an encoder predicts no tokens, so it has no loss",
            "use first_order or pruned",
        )  # fmt: skip
    linears = model.linears()
    weights = [linear.weight for linear in linears.values()]
    wanted = [weight.requires_grad for weight in weights]
    totals = [torch.zeros_like(weight) for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_(True)
        with one_torch_thread():
            for window in ids:
                output = model.module(window[None, :-1])
                logits = output if isinstance(output, Tensor) else output.logits
                loss = F.cross_entropy(logits[0], window[1:])
                for total, gradient in zip(totals, torch.autograd.grad(loss, weights), strict=True):
                    total += gradient.abs() / len(ids)
    finally:
        for weight, before in zip(weights, wanted, strict=True):
            weight.requires_grad_(before)
    return {name: total.detach().numpy() for name, total in zip(linears, totals, strict=True)}


def _layers(watched: Watched, units: Units | None) -> dict[str, dict[str, nn.Module]]:
    """The linear layers of every unit by name; unknown ones are a `WorkbenchError`."""
    linears, found = watched.model.linears(), {}
    for unit, names in (by_layer(watched.model) if units is None else units).items():
        for name in names:
            if name not in linears:
                raise unknown("linear layer", name, linears)
        found[unit] = {name: linears[name] for name in names}
    return found


def _each(
    watched: Watched, units: Units | None, change: Callable[[Layer], QuantizedLayer]
) -> dict[str, float]:
    """The figure with the layers of one unit changed, for every unit."""
    found = {}
    for unit, layers in _layers(watched, units).items():
        made = {name: change(Layer.of(linear, name)) for name, linear in layers.items()}
        found[unit] = watched.of(made)
    return found


def _kept(layer: Layer, weight: np.ndarray) -> QuantizedLayer:
    """A layer with another weight, in float."""
    return QuantizedLayer(layer.name, None, weight, layer.bias, Rewrite(), None)


def _pruned(share: float, layer: Layer) -> QuantizedLayer:
    """A layer without the share of its weights that is smallest."""
    weight, count = layer.weight.copy(), round(share * layer.weight.size)
    weight.flat[np.argpartition(np.abs(weight), count - 1, axis=None)[:count]] = 0
    return _kept(layer, weight)
