"""The model explorer: which layers hurt, why, and what helps, from the model down to one value.

State is plain JSON values, so that it fits in a link; pictures are pure functions of it and of what
has been measured by now. Nothing here knows in what host it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import param

from ..errors import WorkbenchError, unknown
from ..quantizers import Recipe
from ..sketches import Pyramid
from ..views.blank import PENDING, blank
from ..views.channel_fan import channel_fan
from ..views.fan_pair import fan_pair
from ..views.outlier_cells import cells_of, ends_of
from ..views.outlier_map import outlier_map
from ..views.qsur_path import QsurPath
from ..views.qsur_view import qsur_view
from ..views.sensitivity_map import sensitivity_map
from ..views.view import View, ViewSpec
from ..views.what_helps import Variant, what_helps
from . import layer_variants as variants
from .background import Newest
from .layer_value import LayerValue, check_place, value_at
from .model_findings import FIGURES, MANY, OFTEN, RARELY, Findings, raised, walk
from .opened_model import Opened, check_name, fan, matrix, opened, pyramid
from .state import State

VIEWS = ("sensitivity_map", "what_helps", "outlier_map", "channel_fan", "qsur_view")
MOST_CHANNELS = 256


class ModelExplorer(State):
    """State, numbers and pictures of the model explorer.

    Args:
        model: name or path of a model that runs.
        recipe: for every layer, without transforms, such as "w=int4/g32 a=int8/token".
        transform: one of "none", "smooth", "hadamard", "smooth, hadamard", "orthogonal".
        figure: what the sensitivity map shows, "error" or "loss".
        layer: full name of the layer looked at; "" for the one with the largest input.
        channels: brushed input channels of that layer.
        what: "inputs" or "weights" of the layer.
        place: row and channel of one value of them, or ().
        part: which part of the transform the utilisation view shows, 0 to 1.
        sort: order of the channels, "size" or "index".
        theme: "light" or "dark".

    A value that cannot be is refused with a `WorkbenchError`, and the state stays as it was.
    Opening the model is `open`, or happens with the first picture that is asked for.

    Example:
        >>> explorer = ModelExplorer(model="reference-twin", recipe="w=int4/g32 a=int8/token")
        >>> explorer.chosen_layer
        'layers.3.mlp.down_proj'
        >>> explorer.set(transform="smooth"), explorer.rows()[0]["what"]
        ('', 'as it is')
    """

    model = param.String("reference-twin")
    recipe = param.String("w=int4/g32 a=int8/token")
    transform = param.Selector(default="none", objects=list(variants.TRANSFORMS))
    figure = param.Selector(default="error", objects=list(FIGURES))
    layer = param.String("")
    channels = param.ClassSelector(default=(), class_=tuple)
    what = param.Selector(default="inputs", objects=["inputs", "weights"])
    place = param.ClassSelector(default=(), class_=tuple)
    part = param.Number(1.0, bounds=(0, 1))
    sort = param.Selector(default="size", objects=["size", "index"])
    theme = param.Selector(default="light", objects=["light", "dark"])

    STATE: ClassVar[tuple[str, ...]] = (
        "model", "recipe", "transform", "figure", "layer", "channels", "what", "place", "part",
        "sort", "theme",
    )  # fmt: skip

    def __init__(self, **state: Any):
        super().__init__(**state)
        self._opened: Opened | None = None
        self._findings: Findings | None = None
        self._map, self._layer = Newest(), Newest()

    @classmethod
    def _canonical(cls, state: dict[str, Any]) -> dict[str, Any]:
        recipe = Recipe.parse(state["recipe"])
        if recipe.transforms or recipe.prefix or recipe.overrides:
            raise WorkbenchError(
                state["recipe"], "a recipe here is of one layer, and has no transforms",
                f"write {replace(recipe, transforms=(), prefix=False, overrides=())}",
            )  # fmt: skip
        if not recipe.weights and not recipe.activations:
            raise WorkbenchError(
                state["recipe"], "it leaves every layer in float", "write w=int4/g32"
            )
        check_name(state["model"])
        channels = tuple(sorted({int(one) for one in state["channels"]}))
        if len(channels) > MOST_CHANNELS or (channels and channels[0] < 0):
            raise WorkbenchError(
                f"{len(channels)} channels", f"1 to {MOST_CHANNELS} are brushed, from 0 on",
                "brush fewer",
            )  # fmt: skip
        place = tuple(int(one) for one in state["place"])
        if place and (len(place) != 2 or min(place) < 0):
            raise WorkbenchError(
                f"place {place}", "a value has a row and a channel", "write (0, 7)"
            )
        return {**state, "recipe": str(recipe), "channels": channels, "place": place}

    def set(self, **changes: Any) -> str:
        """Change the state all at once, or not at all; returns why it was refused, or ""."""
        return self._take(lambda: self._changed(changes))

    def _changed(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The state after a change; what belonged to another layer or model is left out."""
        checked = self._checked({**self.state, **changes})
        if checked["model"] != self.model and "layer" not in changes:
            checked["layer"] = ""
        moved = any(checked[name] != getattr(self, name) for name in ("model", "layer"))
        if moved and "channels" not in changes:
            checked["channels"] = ()
        if (moved or checked["what"] != self.what) and "place" not in changes:
            checked["place"] = ()
        if self._opened is not None and self._opened.name == checked["model"]:
            self._fits(self._opened, checked)
        return checked

    def _fits(self, model: Opened, state: Mapping[str, Any]) -> None:
        """Refuse layers and channels that the model does not have."""
        if state["layer"] and state["layer"] not in model.layers:
            raise unknown(f"layer of {model.name}", state["layer"], model.layers)
        layer = state["layer"] or self.chosen_layer
        features = model.calibration(layer).features
        if state["channels"] and state["channels"][-1] >= features:
            raise WorkbenchError(
                f"channel {state['channels'][-1]}", f"{layer} has {features} input channels",
                f"write 0 to {features - 1}",
            )  # fmt: skip
        if state["place"]:
            check_place(model, layer, state["what"], state["place"])

    @property
    def opened(self) -> Opened:
        """The model, opened where it is not yet."""
        return self.open()

    @property
    def findings(self) -> Findings:
        """What has been measured of the model by now."""
        model = self.opened
        if self._findings is None or self._findings.model is not model:
            self._findings = Findings(model)
        return self._findings

    @property
    def ready(self) -> bool:
        """Whether the model is open."""
        return self._opened is not None and self._opened.name == self.model

    def open(self, report: Callable[[str], object] = lambda line: None) -> Opened:
        """Open the model; what it lacks of the state is left out of it, and said in `problem`."""
        if not self.ready:
            found = opened(self.model, report)
            self._opened = found
            try:
                self._fits(found, self.state)
            except WorkbenchError as refusal:
                self.param.update(layer="", channels=(), place=(), problem=str(refusal))
        assert self._opened is not None
        return self._opened

    @property
    def chosen_layer(self) -> str:
        """The layer that is looked at."""
        model = self.opened  # which leaves a layer that it lacks out of the state
        return self.layer or model.largest_layer

    @property
    def spec(self) -> ViewSpec:
        """What the views are asked to show."""
        return ViewSpec(theme=self.theme, channels=self.channels, sort=self.sort)

    def figures(self, names: Sequence[str] = VIEWS) -> dict[str, View]:
        """The views of the present state, by name, of what has been measured by now."""
        return {name: getattr(self, f"_{name}")() for name in names}

    def _sensitivity_map(self) -> View:
        found = self.findings.sensitivity(self.recipe, self.figure)
        if found is None:
            return blank("sensitivity_map", "What each layer costs", spec=self.spec, height=300)
        return sensitivity_map(found, self.spec, self.chosen_layer)

    def _what_helps(self) -> View:
        model = self.opened
        where = f"measured on {model.about}; losses on {model.scored_about}"
        return what_helps(
            self.variants(), self.chosen_layer, model.damage.figure, model.damage.unit, where,
            self.spec,
        )  # fmt: skip

    def variants(self) -> list[Variant]:
        """What has been measured of the recipes on this layer, the chosen one marked."""
        found = self.findings.variants(self.chosen_layer, self._tried())
        return [replace(one, chosen=one.label == self._label) for one in found]

    def _tried(self) -> list[tuple[str, str]]:
        """Label and recipe of everything that is tried."""
        labels = variants.labels(self.channels)
        return [(one, variants.recipe_of(one, self.recipe, self.channels)) for one in labels]

    @property
    def _label(self) -> str:
        return variants.AS_IT_IS if self.transform == "none" else self.transform

    @property
    def text(self) -> str:
        """The recipe with the chosen transform."""
        return variants.recipe_of(self._label, self.recipe, ())

    def _outlier_map(self) -> View:
        row = "token" if self.what == "inputs" else "output"
        view = outlier_map(self._pyramid, self.spec, row=row)
        view.plot["layout"] |= {"dragmode": "select", "selectdirection": "h"}
        return view

    @property
    def _pyramid(self) -> Pyramid:
        return pyramid(self.opened, self.chosen_layer, self.what)

    def brush(self, left: float, right: float) -> str:
        """Choose the channels between two places on the outlier map's axis of columns.

        Returns why it was refused, or "".
        """
        columns = cells_of(self._pyramid, None, self.sort).columns
        first, last = (int(np.clip(np.floor(one + 0.5), 0, len(columns) - 1))
                       for one in sorted((left, right)))  # fmt: skip
        chosen = [c for start, end in columns[first : last + 1].tolist() for c in range(start, end)]
        return self.set(channels=tuple(chosen))

    def look(self, row: str, column: str) -> str:
        """Choose the largest value in a cell of the outlier map, by the names of its axes.

        Returns why it was refused, or "".
        """
        (top, bottom), (left, right) = ends_of(row), ends_of(column)
        part = np.abs(matrix(self.opened, self.chosen_layer, self.what)[top:bottom, left:right])
        down, across = np.unravel_index(int(part.argmax()), part.shape)
        place = top + int(down), left + int(across)
        return self.set(place=place, channels=(place[1],))

    def _channel_fan(self) -> View:
        model, layer = self.opened, self.chosen_layer
        before = fan(matrix(model, layer, self.what))
        turned = self.transform not in ("none", "smooth")  # channels are others then
        marked = self.channels[0] if len(self.channels) == 1 and not turned else None
        spec = replace(self.spec, channel=marked)
        if self.transform == "none":
            return channel_fan(before, [], spec)
        try:
            one = variants.tried(model, layer, self.text)
        except WorkbenchError as refusal:
            return blank("channel_fan", "Spread of each channel", str(refusal), spec)
        after = fan(one.weight if self.what == "weights" else one.calibration.rows)
        return fan_pair(before, after, spec=spec, names=("before", f"after {self.transform}"))

    def _qsur_view(self) -> View:
        title = "How much of the quantizer's range the data fill"
        path = self.findings.path(self.chosen_layer, self.transform, self.text)
        if isinstance(path, QsurPath):
            return qsur_view(path, self.part, self.spec)
        return blank("qsur_view", title, path or PENDING, spec=self.spec, height=440)

    @property
    def value(self) -> LayerValue | None:
        """The chosen value and what the recipe makes of it, or None."""
        if not self.place:
            return None
        return value_at(self.opened, self.chosen_layer, self.what, self.place, self.recipe)

    def rows(self) -> list[dict[str, Any]]:
        """The figures of every recipe on the chosen layer, all measured now."""
        for _ in self._layer_work():
            pass
        return self.figures(["what_helps"])["what_helps"].data()

    def refine(self, done: Callable[[tuple[str, ...]], None]) -> None:
        """Measure in the background what is not measured yet; `done` gets the views that changed.

        It is called from another thread. Nothing is called for a state that is no longer.
        """
        layer, findings = self._layer_work(), self.findings
        self._layer.run(lambda stop: walk(layer, stop, done), raised)
        if not findings.filled(self.recipe, self.figure):
            work = findings.map_work(self.recipe, self.figure)
            often = RARELY if len(findings.model.layers) > MANY else OFTEN
            self._map.run(lambda stop: walk(work, stop, done, self._layer, often), raised)

    def _layer_work(self) -> Iterator[tuple[str, ...]]:
        layer, tried = self.chosen_layer, self._tried()
        return self.findings.layer_work(layer, tried, self.transform, self.text)

    def describe(self) -> str:
        """The whole explorer in words: the model, the layer, then each view."""
        head = f"{self.model} under {self.recipe}, {self.chosen_layer}, transform {self.transform}."
        return "\n\n".join([head, *(view.describe() for view in self.figures().values())])

    def code(self) -> str:
        """Python that redoes it."""
        return (
            "import workbench as wb\n\n"
            f"explorer = wb.explorers.ModelExplorer({self.arguments})\n"
            "for row in explorer.rows():\n    print(row)\n\n"
            f"small = wb.quantize({self.model!r}, {self.text!r}, wb.models.held_out_text()[:8192])"
        )

    def cancel(self) -> None:
        """Drop the background work."""
        self._map.cancel()
        self._layer.cancel()

    def wait(self, seconds: float = 60.0) -> bool:
        """Wait until the background work is done; false if it took longer."""
        return self._layer.wait(seconds) and self._map.wait(seconds)
