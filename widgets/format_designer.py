"""The format designer in a notebook cell."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as ipw

from workbench.explorers import designer_words as words
from workbench.explorers.designer_parts import clickable
from workbench.explorers.format_designer import KINDS, TOPS, FormatDesigner

from .copy_field import CopyField
from .figure import ViewBox, readable

_WIDTH = "330px"
_STYLE = {"description_width": "148px"}


class FormatDesignerWidget(ipw.VBox):
    """Controls, figures and the two views over a `FormatDesigner`.

    Changes of the designer, from here or from code, are drawn. A refused entry is said beside the
    controls, and the designer stays as it was.

    Args:
        designer: the state; also reached as `.designer`. None begins with the default one.
        state: the parts of a new designer's state, where none is given.

    Example:
        >>> widget = FormatDesignerWidget(source="synthetic:gaussian,65536,0", exponent=3)
        >>> widget.controls["mantissa"].value = 2
        >>> widget.spec.text
        'e3m2/g32'
        >>> widget.close_all()
    """

    def __init__(self, designer: FormatDesigner | None = None, **state: Any):
        self.designer = FormatDesigner(**state) if designer is None else designer
        self._quiet = False
        self.headline, self.problem, self.code = ipw.HTML(), ipw.HTML(), ipw.HTML()
        self.spec = CopyField(label=words.SPEC)
        self.boxes = {name: ViewBox() for name in ("value_grid", "metrics_table")}
        self.boxes["value_grid"].clicked = self._clicked
        self.boxes["metrics_table"].twin.selected_index = 0
        self.controls = {**_parts(), **_choices()}
        self.beside = [_typed(label, words.beside(), "nf4/g32 ...") for label in words.BESIDE]
        self.made = {name: ipw.Button(description=label) for label, name in words.MADE.items()}
        super().__init__([self._side(), self._main()])
        self.layout = ipw.Layout(flex_flow="row wrap", align_items="flex-start", width="100%")
        self._listen()
        self.designer.param.watch(self._changed, [*FormatDesigner.STATE, "problem"])
        self.draw()
        self._follow()

    def draw(self) -> None:
        """Draw the present state."""
        views = self.designer.figures()
        views["value_grid"] = clickable(views["value_grid"], self.designer.value_axis())
        for name, view in views.items():
            self.boxes[name].show(view)

    def _side(self) -> Any:
        """The controls, from top to bottom."""
        rest = [self.controls["axis"], self.controls["theme"]]
        first = [control for control in self.controls.values() if control not in rest]
        for button in self.made.values():
            button.layout = ipw.Layout(width="auto", flex="1 1 auto")
        buttons = ipw.HBox([*self.made.values()], layout={"width": _WIDTH})
        column = [*first, self.problem, buttons, *self.beside, *rest]
        return ipw.VBox(column, layout={"width": "350px", "flex": "0 0 auto"})

    def _main(self) -> Any:
        """The figures, the spec string, the pictures and the code."""
        code = ipw.Accordion([self.code], titles=["Code and link that redo this"])
        code.selected_index = None
        shown = [self.headline, self.spec, *self.boxes.values(), code]
        return ipw.VBox(shown, layout={"flex": "1 1 480px", "min_width": "0"})

    def _listen(self) -> None:
        for name, control in self.controls.items():
            if name != "click":
                control.observe(lambda change, name=name: self._set(name, change["new"]), "value")
        for control in self.beside:
            control.observe(lambda _: self._beside_typed(), "value")
        for name, button in self.made.items():
            button.on_click(lambda _, name=name: self.designer.suggest(name))

    def _set(self, name: str, value: Any) -> None:
        if not self._quiet:
            self.designer.set(**{name: value})

    def _beside_typed(self) -> None:
        self._set("schemes", [control.value for control in self.beside if control.value.strip()])

    def _clicked(self, point: dict[str, Any]) -> None:
        self.designer.click(point["x"], self.controls["click"].value)

    def _changed(self, *events: Any) -> None:
        if any(event.name != "problem" for event in events):
            self.draw()
        self._follow()

    def _follow(self) -> None:
        """Show the state in the controls and words; a refused entry stays where it was typed."""
        self._quiet = True
        try:
            if not self.designer.problem:
                self._fill(self.designer.state)
        finally:
            self._quiet = False
        problem = html.escape(self.designer.problem)
        self.problem.value = f'<p role="alert"><b>{problem}</b></p>' if problem else ""
        style = f"<style>{words.HEADLINE_STYLE}</style>"
        self.headline.value = style + words.headline(self.designer)
        self.spec.text = self.designer.spec_text
        code, link = html.escape(self.designer.code()), html.escape(self.designer.link() or "?")
        self.code.value = f"<pre>{code}</pre>Link of the served page: <code>{link}</code>"

    def _fill(self, state: dict[str, Any]) -> None:
        """Put a state into the controls, and show those that its kind has."""
        state["values"] = words.values_text(state["values"])
        for name, control in self.controls.items():
            if name != "click":
                control.value = state[name]
            parts = {part for parts in words.OF_KIND.values() for part in parts}
            shown = name not in parts or name in words.OF_KIND[state["kind"]]
            control.layout.display = None if shown else "none"
        for control, text in zip(self.beside, [*state["schemes"], "", ""], strict=False):
            control.value = text

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and for readers without a kernel the figures as a table."""
        table = self.designer.figures()["metrics_table"]
        return readable(super()._repr_mimebundle_(**options), table)


def _parts() -> dict[str, Any]:
    """What is looked at, and the parts of a float, an integer and a codebook."""
    labels = words.LABELS
    return {
        "source": _typed(labels["source"], words.tensors(), "weight:... file:PATH#TENSOR"),
        "kind": _chosen(labels["kind"], KINDS),
        "exponent": _slider(labels["exponent"], 0, 8),
        "mantissa": _slider(labels["mantissa"], 0, 10),
        "bias_shift": _slider(labels["bias_shift"], -16, 16),
        "width": _slider(labels["width"], 1, 16),
        "top": _chosen(labels["top"], TOPS),
        "signed": _chosen(labels["signed"], words.SIGNS),
        "subnormals": _chosen(labels["subnormals"], words.TINY),
        "values": ipw.Textarea(
            description=labels["values"], continuous_update=False, rows=5,
            placeholder="-1, -0.5, 0, 0.5, 1", style=_STYLE, layout={"width": _WIDTH},
        ),
        "click": _chosen(labels["click"], words.CLICKS),
        "granularity": _typed(labels["granularity"], list(words.SHARED), "tensor, g32 ..."),
    }  # fmt: skip


def _choices() -> dict[str, Any]:
    """How it is drawn."""
    return {
        "axis": _chosen(words.LABELS["axis"], words.AXES),
        "theme": _chosen(words.LABELS["theme"], ("light", "dark")),
    }


def _slider(label: str, low: int, high: int) -> Any:
    return ipw.IntSlider(
        description=label, min=low, max=high, style=_STYLE, layout={"width": _WIDTH}
    )


def _chosen(label: str, options: Any) -> Any:
    pairs = list(options.items()) if isinstance(options, dict) else list(options)
    return ipw.Dropdown(description=label, options=pairs, style=_STYLE, layout={"width": _WIDTH})


def _typed(label: str, options: list[str], placeholder: str) -> Any:
    """A field that takes any text and offers some."""
    return ipw.Combobox(
        description=label, options=options, placeholder=placeholder, ensure_option=False,
        continuous_update=False, style=_STYLE, layout={"width": _WIDTH},
    )  # fmt: skip
