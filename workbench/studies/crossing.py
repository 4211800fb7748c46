"""Transforms crossed with solvers under one scheme: what would one method do with another's parts.

Every pair is a recipe of its own, measured on a layer or on a model where it can be, with an
interval; a pair that makes no sense has its reason in the place of a figure. Published methods are
named cells of this matrix: those whose transforms and solver a cell has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ..errors import WorkbenchError
from ..metrics.bootstrap import ratio_interval
from ..quantizers import Calibration, Layer, Recipe
from ..quantizers.papers import PAPERS, Paper
from ..quantizers.parts import part
from ..quantizers.recipe import NEAREST, Rewritten
from ..quantizers.solvers import Solver

AS_IT_IS = "as it is"
TRANSFORMS = (
    "", "smooth", "center threshold", "equalize", "exponent_shift", "sort", "hadamard",
    "orthogonal", "smooth hadamard", "learned_rotation",
)  # fmt: skip
SOLVERS = (
    "nearest", "clip", "gptq", "gptq(act_order=true)", "decoupled", "range_search", "adaround",
    "adaquant", "learned_codes",
)  # fmt: skip
PARTS_ROWS = 64  # neighbouring rows of a sample that are drawn together


@dataclass(frozen=True)
class Crossing:
    """Which pairs are made, and what they share.

    Args:
        base: a recipe without transforms and with the solver `nearest`: its scheme of weights,
            inputs and residuals are those of every pair.
        transforms: texts of one or more transforms each, "" for none.
        solvers: texts of one solver each.

    A base with parts that are crossed, or a text that is no such part, raises `WorkbenchError`.

    Example:
        >>> pairs = Crossing("w=int4/channel a=int8/token", ("", "smooth"), ("nearest", "gptq"))
        >>> str(pairs.recipe("smooth", "gptq"))
        'smooth w=int4/channel gptq a=int8/token'
    """

    base: str
    transforms: tuple[str, ...] = TRANSFORMS
    solvers: tuple[str, ...] = SOLVERS

    def __post_init__(self):
        base = Recipe.parse(self.base)
        if base.transforms or base.overrides or base.solver.name != "nearest" or not base.weights:
            plain = replace(base, transforms=(), overrides=(), solver=NEAREST)
            raise WorkbenchError(
                self.base, "transforms and solvers are what is crossed, on a scheme of weights",
                f"write {replace(plain, weights=base.weights or 'int4/g128')}",
            )  # fmt: skip
        for text in self.solvers:
            part(text, "solver")
        for text in self.transforms:
            if Recipe.parse(text) != Recipe(transforms=Recipe.parse(text).transforms):
                raise WorkbenchError(text, "a row is of transforms alone", "write smooth hadamard")
        object.__setattr__(self, "base", str(base))

    def recipe(self, transform: str, solver: str) -> Recipe:
        """The recipe of one pair."""
        transforms = Recipe.parse(transform).transforms
        chosen = part(solver, "solver")
        assert isinstance(chosen, Solver)
        return replace(Recipe.parse(self.base), transforms=transforms, solver=chosen)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every pair, solver by solver, since those that come first take less time."""
        return [(transform, solver) for solver in self.solvers for transform in self.transforms]


@dataclass(frozen=True)
class Cell:
    """What was measured of one pair.

    Attributes:
        transform, solver: its texts.
        recipe: its text.
        value, low, high: the figure with its interval; None where it was refused.
        bits: stored bits a weight, all counted.
        seconds: that it took to quantize.
        refused: why it cannot be, or "".
    """

    transform: str
    solver: str
    recipe: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bits: float | None = None
    seconds: float = 0.0
    refused: str = ""

    @cached_property
    def papers(self) -> tuple[Paper, ...]:
        """The published methods whose transforms and solver these are, by the parts' names."""
        mine = _parts(Recipe.parse(self.recipe))
        return tuple(paper for paper in PAPERS if _parts(paper.recipe) == mine)

    def record(self) -> dict[str, Any]:
        """The cell as one row of a table."""
        names = ", ".join(paper.name for paper in self.papers)
        return {
            "transform": self.transform or AS_IT_IS, "solver": self.solver, "recipe": self.recipe,
            "value": self.value, "low": self.low, "high": self.high, "bits a weight": self.bits,
            "seconds": round(self.seconds, 2), "methods": names, "refused": self.refused or None,
        }  # fmt: skip


def _parts(recipe: Recipe) -> tuple[tuple[str, ...], str]:
    return tuple(one.name for one in recipe.transforms), recipe.solver.name


class Subject(Protocol):
    """What recipes are measured on: a layer, or a model."""

    @property
    def figure(self) -> str:
        """What is measured; less is better."""
        ...

    @property
    def unit(self) -> str:
        """Of it."""
        ...

    @property
    def about(self) -> str:
        """What it is measured on, in words."""
        ...

    def of(self, recipe: Recipe) -> tuple[float, float, float, float, float]:
        """Value, low and high end, bits a weight, and the seconds that quantizing took."""
        ...


@dataclass(frozen=True, eq=False)
class LayerSubject:
    """One layer: the relative squared error of its outputs on rows kept apart.

    Attributes:
        layer: in float.
        known: calibration that recipes may read.
        held_out: of other text, whose sample is scored.
        about: what both are, in words.
        figure, unit: what is measured.
        rewrites: what transforms have made of the layer by now, with the seconds it took.

    Example:
        >>> random = np.random.default_rng(0)
        >>> rows = np.float32(random.standard_normal((256, 16)))
        >>> layer = Layer(np.float32(random.standard_normal((8, 16))))
        >>> subject = LayerSubject(layer, Calibration.of(rows[:128]), Calibration.of(rows[128:]))
        >>> [cell.value < 0.02 for cell in crossed(Crossing("w=int4", ("",), ("gptq",)), subject)]
        [True]
    """

    layer: Layer
    known: Calibration
    held_out: Calibration
    about: str = "rows kept apart"
    figure: str = "error of the layer's outputs"
    unit: str = "of their square"
    rewrites: dict[Any, tuple[Rewritten, float]] = field(default_factory=dict, repr=False)

    def of(self, recipe: Recipe) -> tuple[float, float, float, float, float]:
        """The figures of a recipe; the interval is over pieces of the sample."""
        start = time.perf_counter()
        rewritten, seconds = self._rewritten(recipe)
        one, known, rewrite = rewritten.layers[0], rewritten.calibration, rewritten.rewrite
        made = recipe.for_layer(self.layer.name).solve(one, known, rewrite)
        seconds += time.perf_counter() - start
        pieces = np.arange(0, len(self.held_out.rows), PARTS_ROWS)
        above, below = (
            np.add.reduceat(part, pieces) for part in made.row_errors(self.layer, self.held_out)
        )
        return *ratio_interval(above, below), made.bits_per_weight, seconds

    def _rewritten(self, recipe: Recipe) -> tuple[Rewritten, float]:
        """The layer after a recipe's transforms, which its solver does not change; and seconds."""
        key = recipe.transforms, recipe.rounding, recipe.seed
        if key not in self.rewrites:
            start = time.perf_counter()
            made = recipe.rewrite([self.layer], self.known)
            self.rewrites[key] = made, time.perf_counter() - start
            return made, 0.0  # the caller's clock has them
        return self.rewrites[key]


@dataclass(frozen=True, eq=False)
class ModelSubject:
    """A whole model: what it loses with all its layers quantized.

    Attributes:
        model: in float.
        known: calibrations of all its layers.
        damage: `models.layer_costs.Damage` of it, on other text.
        about: what both are, in words.
        only: patterns of the layers that are quantized; () for all.
    """

    model: Any
    known: Any
    damage: Any
    about: str = "text kept apart"
    only: tuple[str, ...] = ()

    @property
    def figure(self) -> str:
        """What is measured."""
        return self.damage.figure

    @property
    def unit(self) -> str:
        """Of the figure."""
        return self.damage.unit

    def of(self, recipe: Recipe) -> tuple[float, float, float, float, float]:
        """The figures of a recipe."""
        from ..models.quantize import quantize

        start = time.perf_counter()
        if self.only:
            inside = replace(recipe, tunings=(), prefix=False, seed=0)
            recipe = replace(
                Recipe(overrides=tuple((pattern, inside) for pattern in self.only)),
                tunings=recipe.tunings, prefix=recipe.prefix, seed=recipe.seed,
            )  # fmt: skip
        made = quantize(self.model, recipe, self.known)
        seconds = time.perf_counter() - start
        found = self.damage.of_model(made)
        return found.value, found.low, found.high, made.module.quantization.bits, seconds


def crossed(
    crossing: Crossing, subject: Subject, stop: Callable[[], bool] = lambda: False
) -> Iterator[Cell]:
    """Measure every pair, one after another; `stop` is asked before each."""
    for transform, solver in crossing.pairs:
        if stop():
            return
        yield measured(crossing, transform, solver, subject)


def measured(crossing: Crossing, transform: str, solver: str, subject: Subject) -> Cell:
    """One pair measured, or refused with its reason."""
    return attempt(transform, solver, crossing.recipe(transform, solver), subject)


def attempt(transform: str, solver: str, recipe: Recipe, subject: Subject) -> Cell:
    """A recipe measured, or refused with its reason, under the texts of its parts."""
    cell = Cell(transform, solver, str(recipe))
    try:
        value, low, high, bits, seconds = subject.of(recipe)
    except WorkbenchError as refusal:
        return replace(cell, refused=str(refusal))
    return replace(cell, value=value, low=low, high=high, bits=bits, seconds=seconds)


def best(cells: Sequence[Cell]) -> Cell | None:
    """The cell of least value among those that were measured."""
    known = [cell for cell in cells if cell.value is not None]
    return min(known, key=lambda cell: cell.value, default=None)
