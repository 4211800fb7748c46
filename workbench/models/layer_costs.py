"""What quantizing single layers costs a model: the error of their outputs, and the loss.

A layer is put alone into the float model, or together with all layers up to it. The models that
this makes share every weight that stays, so that hundreds of them cost no memory.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from torch import Tensor

from workbench.models.calibrate import Calibrations
from workbench.models.evaluate import Remembered, accumulated, embedding_agreement, evaluate
from workbench.models.language import Encoder, LanguageModel, TextModel
from workbench.models.quantized_linear import QuantizedLinear
from workbench.quantizers.layer import Layer, QuantizedLayer
from workbench.quantizers.recipe import Recipe


@dataclass(frozen=True)
class Cost:
    """A figure that grows with the damage, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Damage:
    """How far models are from a float one on one text.

    For a language model it is KL(float || changed) in nats a token, for an encoder 1 less the
    cosine of the embeddings. The float model runs once.

    Args:
        model: in float.
        scored: text of a language model, or lines for an encoder.
        window: tokens that are read at once, side by side.

    >>> from workbench import models
    >>> damage = Damage(models.open_model("reference"), models.held_out_text()[:257], 128)
    >>> damage.figure, damage.of({}).value
    ('KL to float', 0.0)
    """

    def __init__(self, model: TextModel, scored: Any, window: int) -> None:
        self.model, self.scored, self.window = model, scored, window
        language = isinstance(model, LanguageModel)
        self.figure = "KL to float" if language else "1 − cosine to float"
        self.unit = "nats a token" if language else ""
        self._measure = self._divergence() if isinstance(model, LanguageModel) else self._angle()

    def of(self, layers: Mapping[str, QuantizedLayer]) -> Cost:
        """What the model loses with these layers in the place of its own."""
        return self.of_model(replaced(self.model, layers))

    def of_model(self, changed: TextModel) -> Cost:
        """What a changed model loses."""
        return self._measure(changed)

    def _divergence(self) -> Callable[[Any], Cost]:
        assert isinstance(self.model, LanguageModel)
        remembered = Remembered(self.model)

        def measured(other: LanguageModel) -> Cost:
            found = evaluate(other, self.scored, remembered, context=self.window)
            return Cost(found.kl, *found.interval("kl"))

        return measured

    def _angle(self) -> Callable[[Any], Cost]:
        assert isinstance(self.model, Encoder)
        exact = self.model.embed(self.scored)

        def measured(other: Encoder) -> Cost:
            found = embedding_agreement(exact, other.embed(self.scored))
            return Cost(1 - found["cosine"], 1 - found["cosine_high"], 1 - found["cosine_low"])

        return measured


def replaced(model: TextModel, layers: Mapping[str, QuantizedLayer]) -> TextModel:
    """A copy of a model with some linear layers quantized; all other weights are shared.

    >>> from workbench import models
    >>> model = models.open_model("reference")
    >>> other = replaced(model, {})
    >>> other.module is model.module, other.module.norm.weight is model.module.norm.weight
    (False, True)
    """
    from dataclasses import replace

    kept = {id(one): one for one in chain(model.module.parameters(), model.module.buffers())}
    module = copy.deepcopy(model.module, kept)
    for name, layer in layers.items():
        parent, _, last = name.rpartition(".")
        setattr(module.get_submodule(parent), last, QuantizedLinear(layer))
    return replace(model, module=module)


def output_errors(
    model: TextModel, recipe: Recipe, known: Calibrations, ids: Tensor
) -> Iterator[dict[str, Any]]:
    """The error of each layer's outputs, in a record a layer.

    Args:
        model: in float.
        recipe: for every layer by itself; its rewrites are done to the inputs as they come.
        known: calibration of the model's layers.
        ids: int64 `(T,)`, tokens on which errors add up, at most the context.

    Yields:
        `scheme`, `layer` and `isolated`: squared error of the outputs over their square, on the
        inputs of the float model; in the end all records once more with `accumulated`, the same on
        the inputs that the quantized layers before give.
    """
    layers: dict[str, QuantizedLayer] = {}
    records: list[dict[str, Any]] = []
    for name, linear in model.linears().items():
        layer = Layer.of(linear, name)
        layers[name] = recipe.apply(layer, known[name])
        error = layers[name].error(layer, known[name])
        records.append({"scheme": str(recipe), "layer": name, "isolated": error})
        yield records[-1]
    found = accumulated(model, replaced(model, layers), ids, layers=True)
    for record in records:
        yield record | {"accumulated": found[record["layer"]]}


def layer_damages(damage: Damage, recipe: Recipe, known: Calibrations) -> Iterator[dict[str, Any]]:
    """What each layer costs the model alone and with all before it, in a record a layer.

    Args:
        damage: of the float model.
        recipe: for every layer by itself.
        known: calibration of the model's layers.

    Yields:
        `scheme`, `layer`, `isolated` and `accumulated`.
    """
    before: dict[str, QuantizedLayer] = {}
    for name, linear in damage.model.linears().items():
        made = recipe.apply(Layer.of(linear, name), known[name])
        before[name] = made
        yield {
            "scheme": str(recipe), "layer": name, "isolated": damage.of({name: made}).value,
            "accumulated": damage.of(before).value,
        }  # fmt: skip
