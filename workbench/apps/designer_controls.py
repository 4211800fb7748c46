"""The controls of the format designer's page: every part of the state, by keyboard as by mouse."""

from __future__ import annotations

from typing import Any

import panel as pn

from ..explorers.designer_words import (
    AXES,
    BESIDE,
    CLICKS,
    LABELS,
    MADE,
    OF_KIND,
    SHARED,
    SIGNS,
    TINY,
    beside,
    tensors,
    values_text,
)
from ..explorers.format_designer import KINDS, TOPS, FormatDesigner
from .page_parts import WIDTH, problem_line, put, reopen, say, typed


class Controls:
    """Widgets over a designer; a refusal is shown under the control that caused it."""

    def __init__(self, designer: FormatDesigner):
        self.designer = designer
        self._quiet = False
        self.problem = problem_line()
        self.widgets = {**_tensor(), **_parts(), **_choices()}
        self.click = pn.widgets.Select(label=LABELS["click"], options=CLICKS, width=WIDTH)
        self.references = _references()
        self.column = pn.Column(*self._ordered(), width=WIDTH + 20)
        for name, widget in self.widgets.items():
            widget.param.watch(lambda event, name=name: self._chosen(name, event.new), "value")
        for widget in self.references:
            widget.param.watch(lambda _: self._beside(), "value")
        designer.param.watch(lambda *_: self.follow(), list(FormatDesigner.STATE))
        self.follow()
        self.say(designer.problem)

    def _ordered(self) -> list[Any]:
        """What the side shows, from top to bottom."""
        w = self.widgets
        first = [w[name] for name in ("source", "kind", "exponent", "mantissa", "bias_shift")]
        first += [w[name] for name in ("width", "top", "signed", "subnormals", "values")]
        return [
            *first, self.click, w["granularity"], self.problem, pn.Row(*self._suggestions()),
            *self.references, pn.Row(w["axis"], w["theme"]),
        ]  # fmt: skip

    def _suggestions(self) -> list[Any]:
        """The buttons that make a codebook for the tensor."""
        buttons = []
        for label, name in MADE.items():
            button = pn.widgets.Button(label=label, width=100 if name == "lloyd_max" else 160)
            button.on_click(lambda _, name=name: self.say(self.designer.suggest(name)))
            buttons.append(button)
        return buttons

    def _chosen(self, name: str, value: Any) -> None:
        """Take over a changed widget; another theme opens the page again in it."""
        if self._quiet:
            return
        self.say(self.designer.set(**{name: value}))
        if name == "theme":
            reopen(self.designer)

    def _beside(self) -> None:
        if not self._quiet:
            texts = [widget.value for widget in self.references if widget.value]
            self.say(self.designer.set(schemes=texts))

    def say(self, refusal: str) -> None:
        """Show why a change was refused, or nothing."""
        say(self.problem, refusal)

    def follow(self) -> None:
        """Show the state in the widgets, and of the parts those that its kind has."""
        state = self.designer.state
        state["values"] = values_text(state["values"])
        self._quiet = True
        try:
            for name, widget in self.widgets.items():
                put(widget, state[name])
            for widget, text in zip(self.references, [*state["schemes"], "", ""], strict=False):
                put(widget, text)
        finally:
            self._quiet = False
        shown = OF_KIND[state["kind"]]
        for name in {name for names in OF_KIND.values() for name in names}:
            widget = self.click if name == "click" else self.widgets[name]
            if widget.visible != (name in shown):
                widget.visible = name in shown


def _tensor() -> dict[str, Any]:
    """What is looked at, and what kind of format is designed."""
    return {
        "source": typed(LABELS["source"], tensors(), "weight:..., file:PATH#TENSOR ..."),
        "kind": pn.widgets.Select(label=LABELS["kind"], options=list(KINDS), width=WIDTH),
    }


def _parts() -> dict[str, Any]:
    """The parts of a float, an integer and a codebook."""
    size = {"width": WIDTH}
    return {
        "exponent": pn.widgets.IntSlider(label=LABELS["exponent"], start=0, end=8, **size),
        "mantissa": pn.widgets.IntSlider(label=LABELS["mantissa"], start=0, end=10, **size),
        "bias_shift": pn.widgets.IntSlider(label=LABELS["bias_shift"], start=-16, end=16, **size),
        "width": pn.widgets.IntSlider(label=LABELS["width"], start=1, end=16, value=4, **size),
        "top": pn.widgets.Select(label=LABELS["top"], options=list(TOPS), **size),
        "signed": pn.widgets.Select(label=LABELS["signed"], options=SIGNS, **size),
        "subnormals": pn.widgets.Select(label=LABELS["subnormals"], options=TINY, **size),
        "values": pn.widgets.TextAreaInput(
            label=LABELS["values"],
            placeholder="-1, -0.5, 0, 0.5, 1",
            rows=5,
            max_length=8192,
            **size,
        ),
        "granularity": typed(LABELS["granularity"], list(SHARED), "tensor, g32, g16*e4m3fn ..."),
    }


def _choices() -> dict[str, Any]:
    """How it is drawn."""
    half = {"width": WIDTH // 2 - 8}
    return {
        "axis": pn.widgets.Select(label=LABELS["axis"], options=AXES, **half),
        "theme": pn.widgets.Select(label=LABELS["theme"], options=["light", "dark"], **half),
    }


def _references() -> list[Any]:
    """The fields of the schemes beside the design; an empty one is none."""
    return [typed(label, beside(), "nf4/g32 ...") for label in BESIDE]
