"""A recipe: transforms, scheme, solver, residuals and tunings for weights, inputs and cache.

Plain frozen data: a compact text, JSON both ways, a hash. What it gives is a function of the
weights, the calibration, the recipe and its seed, the same bytes on any number of threads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from ..errors import WorkbenchError, unknown
from ..schemes import parse as parse_scheme
from . import recipe_text
from .activations import Activations, Rounding
from .calibration import Calibration
from .layer import Layer, QuantizedLayer
from .parts import Part, part
from .residuals.base import Remainder, Residual
from .rewrites import Rewrite, prove
from .solvers.base import Problem, Solver
from .solvers.nearest import Nearest
from .transforms.base import Reading, Transform
from .tunings.base import Tuning

NEAREST = Nearest()
AS_IT_IS = Rewrite()
LISTS = ("transforms", "residuals", "tunings")


@dataclass(frozen=True)
class Recipe:
    """How to quantize a layer.

    Args:
        weights: the scheme of the weights, or "" to keep them in float.
        activations: the scheme of the inputs, or "".
        cache: the scheme of keys and values, before their positions are put in, or ""; a model
            applies it to the layers that write them.
        transforms: rewrites of the layer, in their order; texts, JSON or parts.
        solver: how the weights' codes are chosen.
        residuals: what is added back, in its order.
        tunings: what is trained across the model once every layer has its codes, in its order.
        static: whether the inputs' ranges come from the calibration.
        prefix: whether a layer is calibrated on what the quantized layers before it give.
        seed: for everything that is drawn.
        overrides: pairs of a pattern of layer names, such as "*.down_proj", and the recipe of
            those layers; the first that matches counts.

    Anything that cannot be raises `WorkbenchError`.

    Example:
        >>> recipe = Recipe.parse("smooth(0.7) w=int4/g128 gptq(act_order=true) a=int8/token")
        >>> recipe.weights, recipe.solver.act_order, Recipe.from_json(recipe.json()) == recipe
        ('int4/g128', True, True)
        >>> str(Recipe(weights="mxfp4", transforms=["hadamard"], residuals=["low_rank(4)"]))
        'hadamard w=mxfp4 low_rank(rank=4)'
    """

    weights: str = ""
    activations: str = ""
    cache: str = ""
    transforms: tuple[Transform, ...] = ()
    solver: Solver = NEAREST
    residuals: tuple[Residual, ...] = ()
    tunings: tuple[Tuning, ...] = ()
    static: bool = False
    prefix: bool = False
    seed: int = 0
    overrides: tuple[tuple[str, Recipe], ...] = ()

    def __post_init__(self):
        put = object.__setattr__
        for name in ("weights", "activations", "cache"):
            text = getattr(self, name)
            put(self, name, parse_scheme(text).name if text else "")
        for name in LISTS:
            parts = _listed(getattr(self, name))
            put(self, name, tuple(part(one, name.removesuffix("s")) for one in parts))
        put(self, "solver", part(self.solver, "solver"))
        put(self, "overrides", tuple((str(p), Recipe.of(r)) for p, r in _pairs(self.overrides)))
        self._check()

    def _check(self) -> None:
        """Raise where parts do not go together."""
        if not self.weights and self.solver != NEAREST:
            raise WorkbenchError(
                f"{self.solver} without a scheme of the weights", "there are no codes to choose",
                f"write w=int4/g128 {self.solver}",
            )  # fmt: skip
        if self.static and not self.activations:
            raise WorkbenchError(
                "static", "no inputs are rounded", "write a=int8/tensor static, or leave it out"
            )
        if self.static:
            Activations.of(self.activations, True, Calibration.identity(2))
        for pattern, override in self.overrides:
            if override.overrides or override.prefix or override.seed or override.tunings:
                raise WorkbenchError(
                    f"[{pattern}: {override}]", "an override is of single layers",
                    "write prefix, seed, tunings and patterns outside the brackets",
                )  # fmt: skip

    def __str__(self) -> str:
        return recipe_text.write(self)

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """The recipe that a compact text stands for.

        Parts and words in any order: `w=`, `a=` and `kv=` with a scheme, transforms, a solver,
        residuals, `static`, `prefix`, `seed=`, and overrides as `[pattern: recipe]`; `float` is
        the recipe that changes nothing.
        """
        return cls(**recipe_text.read(text))

    @classmethod
    def of(cls, recipe: Any) -> Recipe:
        """The recipe of a recipe, a text, or plain data."""
        if isinstance(recipe, Recipe):
            return recipe
        return cls.parse(recipe) if isinstance(recipe, str) else cls.from_json(recipe)

    @property
    def rounding(self) -> Rounding:
        """What it rounds the operands of a layer under."""
        return Rounding(self.weights, self.activations, self.static)

    def json(self) -> dict[str, Any]:
        """The recipe as plain data."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in LISTS:
            plain[name] = [one.json() for one in plain[name]]
        plain["solver"] = self.solver.json()
        plain["overrides"] = [[pattern, one.json()] for pattern, one in self.overrides]
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any] | str) -> Recipe:
        """The recipe of what `json` gives, as data or as text."""
        data = json.loads(plain) if isinstance(plain, str) else dict(plain)
        names = [f.name for f in fields(cls)]
        for name in data:
            if name not in names:
                raise unknown("entry of a recipe", name, names)
        return cls(**data)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that stand for the recipe, the same in every process."""
        text = json.dumps(self.json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def changes(self) -> bool:
        """Whether it does anything to a layer that no override is for."""
        rest = replace(self, overrides=(), tunings=(), prefix=False, seed=0)
        return rest != Recipe()

    def for_layer(self, name: str) -> Recipe:
        """The recipe of the layer of this name: an override's, or this without overrides."""
        for pattern, override in self.overrides:
            if fnmatchcase(name, pattern):
                return replace(override, seed=self.seed)
        return replace(self, overrides=(), tunings=(), prefix=False)

    def apply(self, layer: Any, calibration: Calibration | None = None) -> QuantizedLayer:
        """Quantize one layer.

        Args:
            layer: a `Layer`, a torch linear module, or a matrix (outputs, features).
            calibration: of its inputs; parts that look at them need one.

        Returns:
            The quantized layer; the one given stays as it is.

        Example:
            >>> w = np.float32(np.random.default_rng(0).standard_normal((8, 64)))
            >>> Recipe.parse("hadamard w=int4/channel").apply(w).nbytes
            288
        """
        return self.apply_together([layer], calibration)[0]

    def apply_together(
        self, layers: Sequence[Any], calibration: Calibration | None = None
    ) -> list[QuantizedLayer]:
        """Quantize layers that read the same inputs, with one rewrite of them for all."""
        rewritten = self.rewrite([Layer.of(layer) for layer in layers], calibration)
        return [
            self.for_layer(layer.name).solve(layer, rewritten.calibration, rewritten.rewrite)
            for layer in rewritten.layers
        ]

    def rewrite(self, layers: list[Layer], calibration: Calibration | None = None) -> Rewritten:
        """The first half of it: layers that read the same inputs after all transforms.

        The transforms are those of the first layer. Each proves that it changes no output.
        """
        if self.tunings:
            raise WorkbenchError(
                str(self.tunings[0]), "it is trained across a model, and this is one layer",
                "quantize the model with wb.quantize(model, recipe, text)",
            )  # fmt: skip
        for layer in layers if calibration is not None else ():
            calibration.must_match(layer.name, layer.weight.shape[1])
        rewrite, mine = Rewrite(), self.for_layer(layers[0].name)
        for transform in mine.transforms:
            weight = np.concatenate([layer.weight for layer in layers])
            producer = layers[0].producer
            reading = Reading(weight, calibration, producer, self.seed, mine.rounding)
            step = transform.fit(reading)
            known = calibration is not None
            rows = calibration.rows if known else np.eye(weight.shape[1], dtype=np.float32)
            prove(step, weight, rows, f"{layers[0].name}: {transform}")
            layers = [_moved(layer, step) for layer in layers]
            calibration = step.calibration(calibration) if known else None
            rewrite = rewrite.then(step)
        return Rewritten(layers, rewrite, calibration)

    def solve(
        self, layer: Layer, calibration: Calibration | None = None, rewrite: Rewrite = AS_IT_IS
    ) -> QuantizedLayer:
        """The second half: a rewritten layer with its codes, and what is added back.

        Args:
            layer: with rewritten weights.
            calibration: of rewritten inputs.
            rewrite: what the layer has to do to its inputs first.
        """
        weight, kept, bias = None, layer.weight, layer.bias
        activations, cache = None, Activations.of(self.cache) if self.cache else None
        note = ""
        if self.activations:
            activations = Activations.of(self.activations, self.static, calibration)
        if self.weights:
            scheme = parse_scheme(self.weights)
            problem = Problem(layer.weight, scheme, calibration, self.seed, self.rounding)
            solved = self.solver.solve(problem)
            weight, kept = solved.fitted.quantize(solved.values), None
            activations, bias = solved.activations or activations, _sum(bias, solved.bias)
            note = solved.note
        made = QuantizedLayer(layer.name, weight, kept, bias, rewrite, activations, (), cache, note)
        moved = 0.0 if bias is layer.bias else bias - (0.0 if layer.bias is None else layer.bias)
        for residual in self.residuals:
            whole = made.effective
            remainder = Remainder(
                layer.weight, whole, calibration, made.rounded, moved, whole - made.matrix
            )
            made = replace(made, corrections=(*made.corrections, residual.fit(remainder)))
        return made


@dataclass(frozen=True, eq=False)
class Rewritten:
    """Layers that read the same inputs, after the transforms of a recipe.

    Attributes:
        layers: with rewritten weights.
        rewrite: of their inputs.
        calibration: of the rewritten inputs, or None.
    """

    layers: list[Layer]
    rewrite: Rewrite
    calibration: Calibration | None


def _moved(layer: Layer, step: Any) -> Layer:
    """A layer for rewritten inputs; nothing is known to write those directly."""
    more = step.bias(layer.weight)
    bias = _sum(layer.bias, more if isinstance(more, np.ndarray) else None)
    producer = layer.producer if type(step).diagonal else None
    return replace(layer, weight=step.weights(layer.weight), bias=bias, producer=producer)


def _sum(bias: np.ndarray | None, more: np.ndarray | None) -> np.ndarray | None:
    """Two biases together, either of which may be none."""
    if bias is None or more is None:
        return more if bias is None else bias
    return bias + more


def _listed(parts: Any) -> Sequence[Any]:
    return [parts] if isinstance(parts, str | Part) else parts


def _pairs(overrides: Any) -> Sequence[Any]:
    return list(overrides.items()) if isinstance(overrides, Mapping) else overrides
