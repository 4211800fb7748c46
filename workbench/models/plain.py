"""A recipe applied to the linear layers of any torch network, on inputs that are given.

Nothing is known of such a network's blocks, so every rewrite is done to the inputs as they come.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.models.quantize import naming
from workbench.models.quantized_linear import QuantizedLinear
from workbench.quantizers.calibration import Calibration
from workbench.quantizers.layer import Layer
from workbench.quantizers.recipe import Recipe


def quantize_module(network: nn.Module, recipe: Any, inputs: Sequence[Any] = ()) -> nn.Module:
    """A copy of a network whose linear layers went through a recipe.

    Args:
        network: any torch network on the CPU; its `nn.Linear` modules are replaced.
        recipe: a `Recipe`, its text or its data; overrides go by the layers' names.
        inputs: batches that the network is called with, to calibrate on; none where no part looks
            at inputs. With `prefix` each layer is calibrated on what the quantized ones give it.

    A network without linear layers raises `WorkbenchError`; what a layer refuses names it.

    Example:
        >>> network = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> made = quantize_module(network, "w=int4/g4 a=int8/tensor static", [torch.eye(8)])
        >>> made[2], made(torch.eye(8)).shape
        (QuantizedLinear(in_features=8, out_features=2, int4/g4), torch.Size([8, 2]))
    """
    recipe, made = Recipe.of(recipe), copy.deepcopy(network).eval()
    linears = {n: m for n, m in made.named_modules() if isinstance(m, nn.Linear)}
    if not linears:
        raise WorkbenchError(
            type(network).__name__, "it holds no torch.nn.Linear", "pass a network with some"
        )
    groups = readers(made, linears, inputs[0]) if len(inputs) else [(name,) for name in linears]
    for names in groups:
        names = tuple(name for name in names if recipe.for_layer(name).changes)
        if names:
            _replace(made if recipe.prefix else network, made, names, recipe, inputs)
    return made


def _replace(
    heard: nn.Module, made: nn.Module, names: tuple[str, ...], recipe: Recipe, inputs: Sequence[Any]
) -> None:
    """Put quantized layers in the place of those that read the same inputs."""
    layers = [Layer.of(made.get_submodule(name), name) for name in names]
    with naming(names[0]):
        known = _calibration(heard, names[0], inputs, recipe.seed) if len(inputs) else None
        for layer in recipe.apply_together(layers, known):
            parent, _, last = layer.name.rpartition(".")
            setattr(made.get_submodule(parent), last, QuantizedLinear(layer))


def _calibration(network: nn.Module, name: str, inputs: Sequence[Any], seed: int) -> Calibration:
    """The statistics of what one layer reads."""
    rows: list[Tensor] = []

    def hear(name: str, x: Tensor) -> None:
        rows.append(x.reshape(-1, x.shape[-1]).clone())  # what follows may write in place

    with hearing(network, {name: network.get_submodule(name)}, hear):
        for batch in inputs:
            network(batch)
    return Calibration.of(torch.cat(rows), seed=seed)


def readers(network: nn.Module, layers: dict[str, nn.Module], batch: Any) -> list[tuple[str, ...]]:
    """Names of layers that read the same tensor together, in the order in which they read.

    Args:
        network: what is called.
        layers: modules of it by name; those that the batch does not reach are left out.
        batch: what it is called with.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
        >>> readers(network, {"0": network[0], "2": network[2]}, torch.eye(2))
        [('0',), ('2',)]
    """
    together: dict[Any, list[str]] = {}
    alive: list[Tensor] = []  # so that no two have one place in memory

    def hear(name: str, x: Tensor) -> None:
        alive.append(x)
        key = x.data_ptr(), x.shape, x.stride(), x._version
        together.setdefault(key, []).append(name)

    with hearing(network, layers, hear):
        network(batch)
    return [tuple(names) for names in together.values()]


@contextmanager
def hearing(
    network: nn.Module, layers: dict[str, nn.Module], hear: Callable[[str, Tensor], object]
):
    """Have `hear` called with a layer's name and its input while the context is open."""

    def hook(name: str) -> Callable[[nn.Module, tuple], None]:
        return lambda module, inputs: (hear(name, inputs[0]), None)[1]

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()
