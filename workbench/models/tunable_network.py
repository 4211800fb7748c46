"""A quantized network whose layers are open, so that what their codes leave free can be trained."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.models import folding
from workbench.models.language import blocks_of
from workbench.models.norms import norms_of
from workbench.models.plain import readers
from workbench.models.quantized_linear import QuantizedLinear
from workbench.models.tunable import TunableLinear, takes_channels
from workbench.quantizers.tunings import Distill
from workbench.quantizers.tunings.distill import ANEW

Weights = Mapping[str, np.ndarray]
LACKING = {
    "channels": ("layers lack scales, or have corrections fitted to channels", "leave it out"),
    "clips": ("weights lack scales, or parts of them are kept beside", "write w=int4/g128"),
    "ranges": ("no inputs have static ranges", "write a=int8/tensor static in the recipe"),
    "scales": ("weights lack scales, or parts of them are kept beside", "write w=int4/g128"),
    "norms": ("it has no norms with gains", "train biases"),
    "biases": ("no layer is quantized", "quantize it first"),
    "low_rank": ("no layer has a low-rank correction", "write low_rank(8) in the recipe"),
}  # fmt: skip


class TunableNetwork:
    """A copy of a quantized network with its layers open.

    Args:
        start: with `QuantizedLinear` modules, in eval mode; it stays as it is.
        teacher: the float network.
        batch: what both are called with.
        part: says what is trained; what the network lacks for it raises `WorkbenchError`.
        weights: see `tune`.

    Attributes:
        network: the copy.
        free: what is trained, by the words of `Distill.train`; all else is held still.

    Example:
        >>> from workbench.models.plain import quantize_module
        >>> exact = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)).eval()
        >>> start = quantize_module(exact, "w=int4/channel")
        >>> opened = TunableNetwork(start, exact, torch.eye(4), Distill("scales+norms"))
        >>> {word: len(parameters) for word, parameters in opened.free.items()}
        {'scales': 1, 'norms': 2}
    """

    def __init__(
        self,
        start: nn.Module,
        teacher: nn.Module,
        batch: Tensor,
        part: Distill,
        weights: Weights | None = None,
    ) -> None:
        self.start, self.network, self.part = start, copy.deepcopy(start), part
        layers = {n: m for n, m in start.named_modules() if isinstance(m, QuantizedLinear)}
        floats = _floats(layers, teacher, weights) if set(ANEW) & set(part.trained) else {}
        wanted = "channels" in part.trained
        self.groups = _groups(start, layers, batch) if wanted else []
        self.channels = self._channels(layers)
        self.layers = {
            name: TunableLinear(
                module.layer, part.trained, floats.get(name), self.channels.get(name)
            )
            for name, module in layers.items()
        }
        for name, layer in self.layers.items():
            _put(self.network, name, layer)
        self.free = self._free()

    def _channels(self, layers: dict[str, QuantizedLinear]) -> dict[str, nn.Parameter]:
        """The factors of each layer's input channels; layers that read the same share them."""
        found: dict[str, nn.Parameter] = {}
        for names in self.groups:
            if all(takes_channels(layers[name].layer) for name in names):
                factors = nn.Parameter(torch.zeros(layers[names[0]].in_features))
                found |= dict.fromkeys(names, factors)
        return found

    def _free(self) -> dict[str, list[nn.Parameter]]:
        """What is trained by the words of the part; everything else is held still."""
        self.network.requires_grad_(False)
        found: dict[str, dict[nn.Parameter, None]] = {word: {} for word in self.part.trained}
        for layer in self.layers.values():
            for word, parameters in layer.free().items():
                if word in found:
                    found[word] |= dict.fromkeys(parameters)
        if "norms" in found:
            for norm in norms_of(self.network).values():
                found["norms"] |= dict.fromkeys(norm.parameters(recurse=False))
        for word, free in found.items():
            if not free:
                why, instead = LACKING[word]
                raise WorkbenchError(f"{self.part} with {word}", why, instead)
            for parameter in free:
                parameter.requires_grad_(True)
        return {word: list(free) for word, free in found.items()}

    @contextmanager
    def exact(self) -> Iterator[nn.Module]:
        """The copy with float weights and inputs in every layer, while the context is open."""
        for layer in self.layers.values():
            layer.exact = True
        try:
            yield self.network
        finally:
            for layer in self.layers.values():
                layer.exact = False

    @torch.no_grad()
    def closed(self) -> nn.Module:
        """The network with quantized layers in the place of open ones."""
        for name, layer in self.layers.items():
            _put(self.network, name, QuantizedLinear(layer.made()))
        for names in self.groups:
            if names[0] in self.channels:
                self._fold(names)
        for mine, theirs in zip(self.network.parameters(), self.start.parameters(), strict=True):
            mine.requires_grad_(theirs.requires_grad)
        return self.network

    def _fold(self, names: Sequence[str]) -> None:
        """Put channel factors into the norm before, where nothing else stands between."""
        block = next((b for b in blocks_of(self.network) if names[0].startswith(f"{b}.")), None)
        layers = [self.network.get_submodule(name).layer for name in names]
        if block is None or any(len(layer.rewrite.steps) != 1 for layer in layers):
            return
        writer = folding.writer_of(self.network, block, names)
        if isinstance(writer.module, QuantizedLinear):  # its codes are chosen
            return
        rest, _ = folding.fold(layers[0].rewrite, writer)
        if not rest.steps:
            for name, layer in zip(names, layers, strict=True):
                _put(self.network, name, QuantizedLinear(replace(layer, rewrite=rest)))


def _put(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, layer)


def _groups(
    network: nn.Module, layers: dict[str, QuantizedLinear], batch: Tensor
) -> list[tuple[str, ...]]:
    """Names of layers that read the same inputs and rewrite them alike."""
    found: dict[tuple, list[str]] = {}
    for number, names in enumerate(readers(network, dict(layers), batch)):
        for name in names:
            steps = layers[name].layer.rewrite.steps
            found.setdefault((number, *map(id, steps)), []).append(name)
    return [tuple(names) for names in found.values()]


def _floats(
    layers: dict[str, QuantizedLinear], teacher: nn.Module, weights: Weights | None
) -> dict[str, np.ndarray]:
    """The float weights of all layers, rewritten as their codes are."""
    found = {}
    for name, module in layers.items():
        if weights is not None:
            found[name] = _given(weights, name, module.layer.matrix.shape)
            continue
        weight = teacher.get_submodule(name).weight.detach().numpy().astype(np.float32)
        for step in module.layer.rewrite.steps:
            weight = step.weights(weight)
        found[name] = weight
    return found


def _given(weights: Weights, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The float weight of a layer among those that are given."""
    found = np.asarray(weights.get(name, ()), np.float32)
    if found.shape != shape:
        raise WorkbenchError(
            f"{name}: a weight of shape {found.shape}", f"its codes are of shape {shape}",
            "pass the weights of all quantized layers, by name",
        )  # fmt: skip
    return found
