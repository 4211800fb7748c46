"""The controls of the model page: every part of the state, by keyboard as by mouse."""

from __future__ import annotations

from typing import Any

import panel as pn

from ..explorers.layer_variants import TRANSFORMS
from ..explorers.model_explorer import ModelExplorer
from ..explorers.model_findings import FIGURES
from ..models import available
from .page_parts import WIDTH, problem_line, put, reopen, say, text, typed

RECIPES = (
    "w=int4/g32 a=int8/token", "w=int4/g32 a=int4/token", "w=int8/channel a=int8/tensor",
    "w=int8/channel a=int8/token", "w=int4/g32", "w=int4/g32 gptq", "w=int3/g32", "w=mxfp4 a=mxfp8",
    "w=nvfp4 a=nvfp4", "w=nf4/b64",
)  # fmt: skip


class Controls:
    """Widgets over a model explorer; a refusal is shown under the control that caused it."""

    def __init__(self, explorer: ModelExplorer):
        self.explorer = explorer
        self._quiet = False
        self.widgets = {**_model(), **_recipe(), **_layer(), **_drawing()}
        self.problems = {name: problem_line() for name in ("model", "recipe", "layer")}
        self.column = pn.Column(*self._ordered(), width=WIDTH + 20)
        for name, widget in self.widgets.items():
            widget.param.watch(lambda event, name=name: self._chosen(name, event.new), "value")
        explorer.param.watch(lambda *_: self.follow(), [*ModelExplorer.STATE, "problem"])
        self.follow()

    def _ordered(self) -> list[Any]:
        """What the side shows, from top to bottom."""
        w, p = self.widgets, self.problems
        return [
            w["model"], p["model"], w["recipe"], p["recipe"], w["figure"],
            text("<label>Transform tried on the layer</label>", margin=(6, 10, 0, 10), width=WIDTH),
            w["transform"],
            w["part"], w["layer"], w["channels"], w["place"], p["layer"],
            pn.Row(w["what"], w["sort"]), w["theme"],
        ]  # fmt: skip

    def _chosen(self, name: str, value: Any) -> None:
        """Take over a changed widget; another theme opens the page again in it."""
        if self._quiet or value is None:
            return
        if name in ("channels", "place"):
            try:
                value = _numbers(value)
            except ValueError:
                say(self.problems["layer"], f"{value} → they are whole numbers → write 7, 12")
                return
        refusal = self.explorer.set(**{name: value})
        group = {"model": "model", "recipe": "recipe"}.get(name, "layer")
        for other, line in self.problems.items():
            say(line, refusal if other == group else "")
        if name == "theme":
            reopen(self.explorer)

    def follow(self) -> None:
        """Show the state in the widgets."""
        state, explorer = self.explorer.state, self.explorer
        state["channels"] = ", ".join(map(str, state["channels"]))
        state["place"] = ", ".join(map(str, state["place"]))
        self._quiet = True
        try:
            if explorer.ready:
                state["layer"] = explorer.chosen_layer
                if self.widgets["layer"].options != explorer.opened.layers:
                    self.widgets["layer"].options = explorer.opened.layers
            else:
                state["layer"] = None
            for name, widget in self.widgets.items():
                put(widget, state[name])
        finally:
            self._quiet = False


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.replace(",", " ").split())


def _model() -> dict[str, Any]:
    """What is opened."""
    here = [row["name"] for row in available() if not row["state"].startswith("not")]
    runs = [name for name in here if name != "efficientnet-lite0"]
    return {"model": typed("Model, or the path of one", runs, "reference, /path/to/folder ...")}


def _recipe() -> dict[str, Any]:
    """How layers are quantized, and what is tried."""
    return {
        "recipe": typed("Recipe of every layer", list(RECIPES), "w=int4/g32 a=int8/token ..."),
        "figure": pn.widgets.Select(
            label="The map shows", options={text: name for name, text in FIGURES.items()},
            width=WIDTH,
        ),
        "transform": pn.widgets.RadioButtonGroup(
            label="Transform", options=list(TRANSFORMS), orientation="vertical",
            width=WIDTH,
        ),
        "part": pn.widgets.FloatSlider(
            label="Part of the transform", start=0, end=1, step=0.05, value=1, width=WIDTH
        ),
    }  # fmt: skip


def _layer() -> dict[str, Any]:
    """What is looked at, by keyboard."""
    half = {"width": WIDTH // 2 - 8}
    return {
        "layer": pn.widgets.Select(label="Layer", options=[], width=WIDTH),
        "channels": pn.widgets.TextInput(
            label="Channels", placeholder="7, 12", width=WIDTH, max_length=4096
        ),
        "place": pn.widgets.TextInput(
            label="Value: row, channel", placeholder="0, 7", width=WIDTH
        ),
        "what": pn.widgets.Select(label="Show its", options=["inputs", "weights"], **half),
        "sort": pn.widgets.Select(
            label="Channels", options={"by size": "size", "in order": "index"}, **half
        ),
    }  # fmt: skip


def _drawing() -> dict[str, Any]:
    half = {"width": WIDTH // 2 - 8}
    return {"theme": pn.widgets.Select(label="Theme", options=["light", "dark"], **half)}
