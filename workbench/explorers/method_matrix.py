"""The method matrix: every transform with every solver on a layer or a model, methods named.

State is plain JSON values; cells are measured in the background and drawn as they come. Nothing
here knows in what host it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import param

from ..errors import WorkbenchError, unknown
from ..quantizers.papers import PAPERS, Paper
from ..quantizers.recipe import Recipe
from ..quantizers.recipe_text import FLOAT
from ..studies.crossing import (
    SOLVERS,
    TRANSFORMS,
    Cell,
    Crossing,
    LayerSubject,
    ModelSubject,
    Subject,
    attempt,
)
from ..views.crossing_map import crossing_map
from ..views.published_methods import published_methods
from ..views.view import View, ViewSpec
from . import links
from .background import Newest
from .model_findings import raised, walk
from .opened_model import RUNNING, TOKENS, WINDOW, Opened, check_name, opened
from .state import State

VIEWS = ("crossing_map", "published_methods")
WHOLE = "all layers"
BASES = (
    "w=int4/channel", "w=int4/channel a=int8/token", "w=int4/channel a=int4/token",
    "w=int4/g128", "w=int3/channel", "w=int2/channel+mean", "w=int8/channel a=int8/tensor",
    "w=int6/channel a=int6/tensor+zp", "w=e2m1/channel", "w=e2m1/channel a=e2m1/tensor",
    "w=mxfp4 a=mxfp4", "w=nvfp4 a=nvfp4", "w=nf4/b64", "w=pow4(a=0.5)/channel", "w=bitmod4/g128",
)  # fmt: skip

Job = tuple[str, tuple[str, ...], str, str, Recipe]  # a view, what is measured, and for which cell


class MethodMatrix(State):
    """State, numbers and pictures of the method matrix.

    Args:
        model: name or path of a model that runs.
        layer: full name of a layer, "" for the one with the largest input, or "all layers".
        base: the scheme of weights, inputs and residuals that all cells share.
        transform: of the chosen cell, "" for none.
        solver: of the chosen cell.
        theme: "light" or "dark".

    A value that cannot be is refused with a `WorkbenchError`, and the state stays as it was.

    Example:
        >>> matrix = MethodMatrix(model="reference", base="w=int4/channel")
        >>> matrix.set(transform="hadamard", solver="gptq"), str(matrix.recipe)
        ('', 'hadamard w=int4/channel gptq')
    """

    model = param.String("reference-twin")
    layer = param.String("")
    base = param.String("w=int4/channel a=int8/token")
    transform = param.String("")
    solver = param.String("gptq")
    theme = param.Selector(default="light", objects=["light", "dark"])

    STATE: ClassVar[tuple[str, ...]] = ("model", "layer", "base", "transform", "solver", "theme")

    def __init__(self, **state: Any):
        super().__init__(**state)
        self._opened: Opened | None = None
        self._cells: dict[tuple[str, ...], Cell] = {}
        self._work = Newest()

    @classmethod
    def _canonical(cls, state: dict[str, Any]) -> dict[str, Any]:
        crossing = Crossing(state["base"], (state["transform"],), (state["solver"],))
        recipe = crossing.recipe(state["transform"], state["solver"])
        check_name(state["model"])
        transform = str(Recipe(transforms=recipe.transforms))
        changes = {"base": crossing.base, "transform": "" if transform == FLOAT else transform}
        return {**state, **changes, "solver": str(recipe.solver)}

    def set(self, **changes: Any) -> str:
        """Change the state all at once, or not at all; returns why it was refused, or ""."""
        return self._take(lambda: self._changed(changes))

    def _changed(self, changes: dict[str, Any]) -> dict[str, Any]:
        state = {**self.state, **changes}
        if state["model"] != self.model and "layer" not in changes:
            state["layer"] = ""
        checked = self._checked(state)
        if self.ready and checked["model"] == self.model:
            self._fits(self.opened, checked["layer"])
        return checked

    @staticmethod
    def _fits(model: Opened, layer: str) -> None:
        if layer not in ("", WHOLE, *model.layers):
            raise unknown(f"layer of {model.name}", layer, [WHOLE, *model.layers])

    @property
    def ready(self) -> bool:
        """Whether the model is open."""
        return self._opened is not None and self._opened.name == self.model

    @property
    def opened(self) -> Opened:
        """The model, opened where it is not yet."""
        return self.open()

    def open(self, report: Callable[[str], object] = lambda line: None) -> Opened:
        """Open the model; a layer that it lacks is left out of the state, and said in `problem`."""
        if not self.ready:
            self._opened = opened(self.model, report)
            try:
                self._fits(self._opened, self.layer)
            except WorkbenchError as refusal:
                self.param.update(layer="", problem=str(refusal))
        assert self._opened is not None
        return self._opened

    @property
    def chosen_layer(self) -> str:
        """The layer that is looked at, or "all layers"."""
        model = self.opened  # which leaves a layer that it lacks out of the state
        return self.layer or model.largest_layer

    @property
    def crossing(self) -> Crossing:
        """The pairs under the chosen scheme; parts of the chosen cell that are not usual too."""
        rows, columns = dict.fromkeys(TRANSFORMS), dict.fromkeys(SOLVERS)
        return Crossing(
            self.base, tuple(rows | {self.transform: None}), tuple(columns | {self.solver: None})
        )

    @property
    def recipe(self) -> Any:
        """The recipe of the chosen cell."""
        return self.crossing.recipe(self.transform, self.solver)

    @property
    def subject(self) -> Subject:
        """What recipes are measured on."""
        return subject_of(self.opened, self.chosen_layer)

    @property
    def _spot(self) -> tuple[str, str]:
        return self.model, self.chosen_layer

    @property
    def cells(self) -> list[Cell]:
        """The cells of the matrix that have been measured by now."""
        keys = ((*self._spot, self.base, *pair) for pair in self.crossing.pairs)
        return [self._cells[key] for key in keys if key in self._cells]

    @property
    def methods(self) -> list[tuple[Paper, Cell]]:
        """The published methods that have been measured by now."""
        keys = (((*self._spot, paper.name), paper) for paper in PAPERS)
        return [(paper, self._cells[key]) for key, paper in keys if key in self._cells]

    def figures(self, names: Sequence[str] = VIEWS) -> dict[str, View]:
        """The views of the present state, by name, of what has been measured by now."""
        return {name: getattr(self, f"_{name}")() for name in names}

    def _crossing_map(self) -> View:
        subject, spec = self.subject, ViewSpec(theme=self.theme)
        return crossing_map(
            self.crossing, self.cells, subject.figure, subject.unit, subject.about, spec,
            (self.transform, self.solver),
        )  # fmt: skip

    def _published_methods(self) -> View:
        subject, spec = self.subject, ViewSpec(theme=self.theme)
        methods = [(paper.name, cell) for paper, cell in self.methods]
        return published_methods(
            methods, subject.figure, subject.unit, subject.about, spec, str(self.recipe)
        )

    def take(self, name: str) -> str:
        """Look at a published method: its transforms and solver as the chosen cell.

        Returns why that cannot be, or "".
        """
        found = next((paper for paper in PAPERS if paper.name == name), None)
        if found is None:
            return self._take(lambda: _unknown_method(name))
        transform = " ".join(str(one) for one in found.recipe.transforms)
        return self.set(transform=transform, solver=str(found.recipe.solver))

    def sentence(self) -> str:
        """The chosen cell in words: whose parts they are, and what each does alone."""
        key = (*self._spot, self.base)
        cell = self._cells.get((*key, self.transform, self.solver))
        if cell is None:
            return f"{self.recipe} is still to be measured."
        if cell.value is None:
            return f"{self.recipe} makes no sense: {cell.refused}."
        alone = [
            (f"without {self.transform}", self._cells.get((*key, "", self.solver))),
            (f"without {self.solver}", self._cells.get((*key, self.transform, "nearest"))),
        ]
        parts = [f"{cell.recipe}: {cell.value:.4g} {self.subject.unit}".rstrip()]
        parts += [f"{name} {one.value:.4g}" for name, one in alone
                  if one is not None and one is not cell and one.value is not None]  # fmt: skip
        return "; ".join(parts) + f". {_whose(self.transform, self.solver)}"

    def model_link(self) -> str:
        """The link of the model explorer on this layer, under this scheme."""
        state = {"model": self.model, "recipe": self.base}
        if self.chosen_layer != WHOLE:
            state["layer"] = self.chosen_layer
        return f"?{links.to_query(state, {})}"

    def refine(self, done: Callable[[tuple[str, ...]], None]) -> None:
        """Measure in the background what is not measured yet; `done` gets the views that changed.

        It is called from another thread. Nothing is called for a state that is no longer.
        """
        work = self._measure()
        self._work.run(lambda stop: walk(work, stop, done), raised)

    def _measure(self) -> Iterator[tuple[str, ...]]:
        """Measure what is missing, one recipe after another; names the view that has changed."""
        subject = self.subject
        for view, key, transform, solver, recipe in self._jobs():
            if key not in self._cells:
                with RUNNING:
                    self._cells[key] = attempt(transform, solver, recipe, subject)
                yield (view,)

    def _jobs(self) -> list[Job]:
        """The cell looked at, those rounded to nearest, the methods, then the rest."""
        crossing, spot = self.crossing, self._spot
        pairs = sorted(crossing.pairs, key=lambda pair: pair != (self.transform, self.solver))
        cells: list[Job] = [
            ("crossing_map", (*spot, crossing.base, *pair), *pair, crossing.recipe(*pair))
            for pair in pairs
        ]
        methods: list[Job] = [
            ("published_methods", (*spot, one.name), "", one.recipe.solver.name, one.recipe)
            for one in PAPERS
        ]
        first = 1 + len(crossing.transforms)  # the chosen cell, and the first column
        return [*cells[:first], *methods, *cells[first:]]

    def rows(self) -> list[dict[str, Any]]:
        """Every pair, all measured now."""
        for _ in self._measure():
            pass
        return [cell.record() for cell in self.cells]

    def wait(self, seconds: float) -> bool:
        """Wait until the background work is done; false if it took longer."""
        return self._work.wait(seconds)

    def cancel(self) -> None:
        """Drop the background work."""
        self._work.cancel()

    def describe(self) -> str:
        """The whole explorer in words."""
        head = f"{self.model}, {self.chosen_layer}, under {self.base}. {self.sentence()}"
        return "\n\n".join([head, *(view.describe() for view in self.figures().values())])

    def code(self) -> str:
        """Python that redoes it."""
        return (
            "import workbench as wb\n\n"
            f"matrix = wb.explorers.MethodMatrix({self.arguments})\n"
            "for row in matrix.rows():\n    print(row)\n\n"
            f"recipe = wb.Recipe.parse({str(self.recipe)!r})"
        )


def _unknown_method(name: str) -> dict[str, Any]:
    raise unknown("published method", name, [paper.name for paper in PAPERS])


def _whose(transform: str, solver: str) -> str:
    """Whose transforms and whose solver a cell has."""
    mine, chosen = transform.split(), solver.partition("(")[0]
    same = [paper.name for paper in PAPERS
            if mine and [one.name for one in paper.recipe.transforms] == mine]  # fmt: skip
    solved = [p.name for p in PAPERS if chosen != "nearest" and p.recipe.solver.name == chosen]
    parts = [
        f"{' and '.join(names)} {'have' if len(names) > 1 else 'has'} {what}"
        for names, what in ((same, "these transforms"), (solved, "this solver"))
        if names
    ]
    return "; ".join(parts) + "." if parts else "No published method here has these parts."


@lru_cache(maxsize=16)
def subject_of(model: Opened, layer: str) -> Subject:
    """What recipes are measured on: a layer on text kept apart, or the whole model."""
    if layer == WHOLE:
        about = f"calibrated on {model.about}; scored on {model.scored_about}"
        return ModelSubject(model.model, model.known, model.damage, about)
    from .. import models
    from ..models.calibrate import calibrate

    text = models.held_out_text()
    with RUNNING:
        held_out = calibrate(
            model.model, text[len(text) // 2 :], [layer], TOKENS, min(WINDOW, model.model.context)
        )
    about = f"calibrated on {model.about}, measured on {held_out.about} of other text"
    return LayerSubject(model.layer(layer), model.calibration(layer), held_out[layer], about)
