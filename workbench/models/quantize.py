"""A recipe applied across a model: rewrites first, folded where the network allows, then codes.

The model that is given is left as it is, also where a layer fails. Layers that read the same
inputs get one rewrite. With `prefix` in the recipe every block is calibrated on what the quantized
blocks before it give, else on what the float model gives.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from workbench.errors import WorkbenchError
from workbench.models import folding
from workbench.models.calibrate import TOKENS, Calibrations, calibrate, token_numbers
from workbench.models.language import TextModel
from workbench.models.quantized_linear import QuantizedLinear
from workbench.quantizers.calibration import Calibration
from workbench.quantizers.layer import Layer, QuantizedLayer
from workbench.quantizers.recipe import Recipe, Rewritten
from workbench.quantizers.rewrites import Rewrite

CACHED = ("k_proj", "v_proj", "key", "value")  # layers that write the cache
MOST_DIFFERENCE = 1e-3  # of the outputs after all rewrites, relative to their size


@dataclass(frozen=True)
class QuantizedRow:
    """What became of one layer.

    Attributes:
        name: of the layer.
        recipe: its text.
        bits: stored bits a weight, scales and residuals counted.
        nbytes: stored bytes.
        error: squared error of its outputs over their square, on the inputs it was calibrated
            with; NaN where there were none.
        rewrite: "" where there is none, "folded", or why it is done to the inputs as they come.
        note: what the solver should be known for, such as too few rows.
        seconds: that it took.
    """

    name: str
    recipe: str
    bits: float
    nbytes: int
    error: float
    rewrite: str = ""
    note: str = ""
    seconds: float = 0.0


@dataclass
class Quantization:
    """How a model was quantized.

    Attributes:
        recipe: what was done.
        calibration: what was read, in words.
        rows: one a layer, as it was before all tunings.
        tunings: the text of each, with its loss before and after.
    """

    recipe: Recipe
    calibration: str = ""
    rows: list[QuantizedRow] = field(default_factory=list)
    tunings: list[tuple[str, float, float]] = field(default_factory=list)

    @property
    def bits(self) -> float:
        """Mean stored bits of a quantized weight."""
        values = sum(8 * row.nbytes / row.bits for row in self.rows)
        return sum(8 * row.nbytes for row in self.rows) / values if values else 32.0


def quantize(
    model: Any,
    recipe: Any,
    data: Any = None,
    tokens: int = TOKENS,
    window: int | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> Any:
    """A copy of a model whose linear layers went through a recipe.

    Args:
        model: a `TextModel`, or the name or path of one.
        recipe: a `Recipe`, its text or its data.
        data: text, bytes, token numbers, or `Calibrations`; None where no part looks at inputs.
        tokens: how many tokens of the data are read at most.
        window: tokens of a window; None for the context, at most 512.
        progress: is told how many layers of how many are done.
        stop: asked before every layer; where it says so, a `WorkbenchError` ends the work.

    Returns:
        The same kind of model; its `module.quantization` says what became of each layer.

    Unknown parts, forbidden combinations, calibration of another model: a `WorkbenchError` that
    names the layer.

    Example:
        >>> import workbench as wb
        >>> small = wb.quantize("reference", "w=int4/g32")
        >>> small.module.quantization.bits
        5.0
    """
    model, recipe = _model(model), Recipe.of(recipe)
    if recipe.prefix and isinstance(data, Calibrations | None):
        raise WorkbenchError(
            "prefix", "each block is calibrated anew, which takes the text itself",
            "pass text, bytes or token numbers",
        )  # fmt: skip
    calibrations = _calibrations(model, recipe, data, tokens, window)
    work = _Work(replace(model, module=copy.deepcopy(model.module)), recipe, calibrations)
    work.rewrite()
    work.prove(model)
    for done, name in enumerate(work.order):
        if stop():
            raise WorkbenchError(f"{done} of {len(work.order)} layers", "it was stopped", "go on")
        if recipe.prefix and work.opens_block(name):
            work.calibrate_block(name, data, tokens, window)
        work.solve(name)
        progress(done + 1, len(work.order))
    work.model.module.quantization = work.report
    return _tuned(work, model, recipe, calibrations)


def _tuned(work: _Work, exact: TextModel, recipe: Recipe, calibrations: Calibrations) -> TextModel:
    """The quantized model after the tunings of its recipe, on the text it was calibrated with."""
    from workbench.models.tune import tune_model
    from workbench.quantizers.tunings import Distill

    made = work.model
    for part in recipe.tunings:
        if not calibrations.read:
            raise WorkbenchError(
                str(part), "it is trained on text, and there is none here",
                "pass text, token numbers, or what calibrate(model, text) has just given",
            )  # fmt: skip
        assert isinstance(part, Distill)
        windows = calibrations.read
        made = tune_model(made, exact, windows, part, recipe.seed, weights=work.floats)
        gain = made.module.tuning
        made.module.quantization.tunings.append((str(part), gain.before, gain.after))
    return made


def _model(model: Any) -> TextModel:
    from workbench import models

    if isinstance(model, TextModel):
        return model
    if isinstance(model, nn.Module):
        raise WorkbenchError(
            type(model).__name__, "a module alone does not say how it reads text",
            "pass models.open_model(name), or replace(model, module=yours)",
        )  # fmt: skip
    return models.open_model(model)


def _calibrations(
    model: TextModel, recipe: Recipe, data: Any, tokens: int, window: int | None
) -> Calibrations:
    """What is known of the inputs: nothing, what is given, or what the data say."""
    if data is None:
        return Calibrations({})
    if not isinstance(data, Calibrations):
        return calibrate(model, data, tokens=tokens, window=window, seed=recipe.seed)
    changed = (name for name in model.linears() if _for_layer(recipe, name).changes)
    missing = [name for name in changed if name not in data]
    if missing:
        raise WorkbenchError(
            f"a calibration of {len(data)} layers",
            f"{missing[0]} of {model.name} is not among them", "calibrate this model",
        )  # fmt: skip
    return data


class _Work:
    """A copy of a model on its way."""

    def __init__(self, model: TextModel, recipe: Recipe, calibrations: Calibrations):
        self.model, self.recipe, self.calibrations = model, recipe, calibrations
        self.recipes = {name: _for_layer(recipe, name) for name in model.linears()}
        self.order = [name for name, one in self.recipes.items() if one.changes]
        self.report = Quantization(recipe, calibrations.about)
        self.known: dict[str, Calibration | None] = {
            name: calibrations.by_name.get(name) for name in self.order
        }
        self.left: dict[str, tuple[Rewrite, str]] = {}
        self.floats: dict[str, np.ndarray] = {}  # what the codes stand for, where it is trained on

    def rewrite(self) -> None:
        """Put all rewrites into the copy, which then gives what it gave."""
        for names in _groups(self.order, self.calibrations, self.recipes):
            with naming(names[0]):
                self._rewrite_together(names)

    def _rewrite_together(self, names: list[str]) -> None:
        linears = self.model.linears()
        shared = [name for group in self.calibrations.groups if names[0] in group for name in group]
        alone = set(shared or names) == set(names)
        writer = folding.Writer(why="another layer that reads these inputs has other transforms")
        if alone:
            writer = folding.writer_of(self.model.module, self._block(names[0]), names)
        producer = None
        if writer.linear and writer.module is not None:
            producer = writer.module.weight.detach().numpy().astype(np.float32)
        layers = [replace(Layer.of(linears[name], name), producer=producer) for name in names]
        made = self.recipes[names[0]].rewrite(layers, self.known[names[0]])
        rest, why = folding.fold(made.rewrite, writer)
        self._place(made, rest, why or ("folded" if made.rewrite.steps else ""))

    def _place(self, made: Rewritten, rest: Rewrite, why: str) -> None:
        """Put rewritten float layers where the linear ones were."""
        for layer in made.layers:
            self.known[layer.name] = made.calibration
            self.left[layer.name] = rest, why
            if not made.rewrite.steps:
                continue
            linear = self.model.linears()[layer.name]
            if not rest.steps:
                linear.weight.data = torch.from_numpy(layer.weight)
                if layer.bias is not None:
                    linear.bias = nn.Parameter(torch.from_numpy(layer.bias), requires_grad=False)
                continue
            kept = QuantizedLayer(layer.name, None, layer.weight, layer.bias, rest, None)
            self._put(kept)

    def _put(self, layer: QuantizedLayer) -> None:
        parent, _, last = layer.name.rpartition(".")
        setattr(self.model.module.get_submodule(parent), last, QuantizedLinear(layer))

    def prove(self, model: TextModel) -> None:
        """Raise unless the rewritten copy gives what the model gives, on a few tokens."""
        if not any(why for _, why in self.left.values()):
            return
        ids = torch.arange(16)[None] % model.vocabulary
        exact, now = model.run(ids), self.model.run(ids)
        gap = float((exact - now).abs().max() / exact.abs().max())
        if not gap <= MOST_DIFFERENCE:
            raise WorkbenchError(
                str(self.recipe), f"its rewrites change {model.name} by {gap:.2g} of its outputs",
                "leave its transforms out",
            )  # fmt: skip

    def _block(self, name: str) -> str:
        return next(block for block in self.model.blocks() if name.startswith(f"{block}."))

    def opens_block(self, name: str) -> bool:
        """Whether a layer is the first of its block to be solved."""
        place = self.order.index(name)
        return place == 0 or self._block(self.order[place - 1]) != self._block(name)

    def calibrate_block(self, name: str, data: Any, tokens: int, window: int | None) -> None:
        """Have the layers of a block know what the blocks solved so far give them."""
        block = self._block(name)
        names = [other for other in self.order if self._block(other) == block]
        ids = token_numbers(self.model, data)
        seen = calibrate(self.model, ids, names, tokens, window, self.recipe.seed)
        for other in names:
            known = seen[other]
            for step in self.left[other][0].steps:
                known = step.calibration(known)
            self.known[other] = known

    def solve(self, name: str) -> None:
        """Put a layer's codes in its place."""
        start, linear = time.perf_counter(), self.model.linears()[name]
        rest, why = self.left[name]
        known = self.known[name]
        layer = replace(Layer.of(linear, name), bias=_bias(linear))
        with naming(name):
            made = self.recipes[name].solve(layer, known, rest)
        if self.recipe.tunings:
            self.floats[name] = layer.weight
        self._put(made)
        error = float("nan") if known is None else replace(made, rewrite=Rewrite()).error(
            layer, known)  # fmt: skip
        looks = self.recipes[name].solver.needs_inputs and known is not None
        notes = known.shortage if looks and known is not None else "", made.note
        self.report.rows.append(
            QuantizedRow(
                name, str(self.recipes[name]), made.bits_per_weight, made.nbytes, error, why,
                "; ".join(filter(None, notes)),
                time.perf_counter() - start,
            )
        )  # fmt: skip


def _bias(linear: nn.Module) -> np.ndarray | None:
    bias = linear.bias
    return None if bias is None else bias.detach().numpy().astype(np.float32)


def _for_layer(recipe: Recipe, name: str) -> Recipe:
    """The recipe of a layer; only those that write keys and values have a cache."""
    found = recipe.for_layer(name)
    return found if name.rpartition(".")[2] in CACHED else replace(found, cache="")


def _groups(
    order: Sequence[str], calibrations: Calibrations, recipes: dict[str, Recipe]
) -> Iterator[list[str]]:
    """Layers that read the same inputs and have the same transforms, together."""
    wanted = set(order)
    together = calibrations.groups or [(name,) for name in order]
    for group in together:
        by_transforms: dict[Any, list[str]] = {}
        for name in group:
            if name in wanted:
                by_transforms.setdefault(recipes[name].transforms, []).append(name)
        yield from by_transforms.values()


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Put the name of a layer into its refusals, and say so where memory runs out."""
    try:
        yield
    except WorkbenchError as error:
        if error.passed.startswith(name):
            raise
        raise WorkbenchError(f"{name}: {error.passed}", error.why, error.instead) from error
    except MemoryError as error:
        instead = f"use fewer tokens, or keep it in float with [{name}: float]"
        raise WorkbenchError(name, "there is not enough memory for it", instead) from error
