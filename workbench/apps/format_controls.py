"""The controls of the format explorer's page: every part of the state, by keyboard as by mouse."""

from __future__ import annotations

import html
from typing import Any

import panel as pn

from ..explorers import sources
from ..explorers.design import designed
from ..explorers.format_explorer import MOST_SCHEMES, MOST_SHIFT, FormatExplorer
from ..formats import ROUNDINGS
from ..formats import names as format_names
from ..schemes import names as scheme_names
from .page_parts import (
    WIDTH,
    code_card,
    folded,
    problem_line,
    put,
    reopen,
    say,
    text,
    write_code,
)

KINDS = {
    "Weights of the reference model": "weight",
    "Activations of the reference model": "activation",
    "A distribution": "synthetic",
    "A file of yours": "file",
}
COUNTS = {"65,536 values": 1 << 16, "1,048,576 values": 1 << 20, "16,777,216 values": 1 << 24}
PLAIN = ("rounding", "axis", "window", "sort", "theme", "probe", "channel", "shift")


class Controls:
    """Widgets over an explorer; each refusal is shown beside the control that caused it."""

    def __init__(self, explorer: FormatExplorer):
        self.explorer = explorer
        self._quiet = False
        self._said = False  # whether a refusal is being said beside a control
        self.headline = text()
        self.code = code_card()
        self.column = pn.Column(
            *self._tensor(), *self._schemes(), *self._handle(), *self._design(),
            *self._choices(), *self._range(), width=WIDTH + 20,
        )  # fmt: skip
        self.code.param.watch(lambda _: self._write_code(), "collapsed")
        explorer.param.watch(lambda *_: self.follow(), [*FormatExplorer.STATE, "problem"])
        self.follow()

    def _tensor(self) -> list[Any]:
        """What is looked at."""
        self.kind = pn.widgets.Select(label="Tensor from", options=KINDS, width=WIDTH)
        self.name = pn.widgets.Select(label="Tensor", options=[], width=WIDTH)
        self.count = pn.widgets.Select(label="How many", options=COUNTS, width=WIDTH, visible=False)
        self.path = pn.widgets.TextInput(
            label="File, # and tensor", placeholder="/path/model.safetensors#tensor", width=WIDTH,
            visible=False,
        )  # fmt: skip
        self.source_problem = problem_line()
        self.kind.param.watch(lambda event: self._kind_chosen(event.new), "value")
        for widget in (self.name, self.count, self.path):
            widget.param.watch(lambda _: self._source_chosen(), "value")
        return [self.kind, self.name, self.count, self.path, self.source_problem]

    def _kind_chosen(self, kind: str) -> None:
        if not self._quiet:
            self._offer(kind)
            if kind != "file" or self.path.value:
                self._source_chosen()

    def _offer(self, kind: str) -> None:
        """Show what can be chosen of that kind."""
        before, self._quiet = self._quiet, True
        self.path.visible, self.name.visible = kind == "file", kind != "file"
        self.count.visible = kind == "synthetic"
        self.name.label = "Distribution" if kind == "synthetic" else "Tensor"
        if kind != "file":
            names = sources.names(kind)
            self.name.param.update(options=names, value=names[0] if names else None)
        self._quiet = before

    def _source_chosen(self) -> None:
        if self._quiet:
            return
        kind = self.kind.value
        text = {
            "file": f"file:{self.path.value.strip()}",
            "synthetic": f"synthetic:{self.name.value},{self.count.value},0",
        }.get(kind, f"{kind}:{self.name.value}")
        self._set(self.source_problem, source=text)

    def _schemes(self) -> list[Any]:
        """Up to four schemes, as text; an empty line is none."""
        known = sorted({*format_names(), *scheme_names()})
        self.schemes = [
            pn.widgets.AutocompleteInput(
                label=f"Scheme {i + 1}", options=known, restrict=False, min_characters=1,
                case_sensitive=False, width=WIDTH, placeholder="e4m3fn, int4/g128, mxfp4 ...",
            )
            for i in range(MOST_SCHEMES)
        ]  # fmt: skip
        self.scheme_problems = [problem_line() for _ in self.schemes]
        rows: list[Any] = []
        for i, (widget, problem) in enumerate(zip(self.schemes, self.scheme_problems, strict=True)):
            widget.param.watch(lambda _, i=i: self._scheme_typed(i), "value")
            rows += [widget, problem]
        return rows

    def _scheme_typed(self, slot: int) -> None:
        if self._quiet:
            return
        texts = [w.value.strip() for w in self.schemes if w.value and w.value.strip()]
        self._set(self.scheme_problems[slot], schemes=texts)

    def _handle(self) -> list[Any]:
        """The handle that moves the grids over the data."""
        self.shift = pn.widgets.FloatSlider(
            label="Scale handle: all scales × 2^", start=-MOST_SHIFT, end=MOST_SHIFT,
            step=0.0625, value=0, width=WIDTH,
        )  # fmt: skip
        self.shift.param.watch(lambda event: self._plain("shift", float(event.new)), "value")
        return [self.shift]

    def _design(self) -> list[Any]:
        """A float of one's own, written into a scheme's line."""
        self.exponent = pn.widgets.IntSlider(label="Exponent bits", start=0, end=8, value=4)
        self.mantissa = pn.widgets.IntSlider(label="Mantissa bits", start=0, end=10, value=3)
        self.bias = pn.widgets.IntSlider(label="Bias, more than usual", start=-16, end=16, value=0)
        self.signed = pn.widgets.Checkbox(label="Signed", value=True)
        self.subnormals = pn.widgets.Checkbox(label="Subnormals", value=True)
        self.slot = pn.widgets.Select(
            label="Into", options={f"Scheme {i + 1}": i for i in range(MOST_SCHEMES)}, value=0
        )
        self.design_problem = problem_line()
        widgets = [self.slot, self.exponent, self.mantissa, self.bias, self.signed, self.subnormals]
        for widget in widgets:
            widget.width = WIDTH - 20
        for widget in widgets[1:]:
            widget.param.watch(lambda _: self._designed(), "value")
        parts = {"width": WIDTH, "margin": (5, 10), "sizing_mode": None}
        return [folded("Design a float", *widgets, self.design_problem, **parts)]

    def _designed(self) -> None:
        """Put the designed float into its line."""
        try:
            text = designed(
                self.exponent.value, self.mantissa.value, self.bias.value, self.signed.value,
                self.subnormals.value,
            )  # fmt: skip
        except ValueError as refusal:
            say(self.design_problem, str(refusal))
            return
        schemes = list(self.explorer.schemes)
        slot = min(self.slot.value, len(schemes))
        self._set(self.design_problem, schemes=[*schemes[:slot], text, *schemes[slot + 1 :]])

    def _choices(self) -> list[Any]:
        """Rounding and how things are drawn."""
        self.rounding = pn.widgets.Select(label="Rounding", options=list(ROUNDINGS), width=WIDTH)
        half = {"width": WIDTH // 2 - 8}
        self.axis = pn.widgets.Select(
            label="Value axis", options={"powers of two": "symlog2", "linear": "linear"}, **half
        )
        self.window = pn.widgets.Select(
            label="Show", options={"the data": "data", "all values": "formats"}, **half
        )
        self.sort = pn.widgets.Select(
            label="Channels", options={"by size": "size", "in order": "index"}, **half
        )
        self.theme = pn.widgets.Select(label="Theme", options=["light", "dark"], **half)
        for name in ("rounding", "axis", "window", "sort"):
            getattr(self, name).param.watch(
                lambda event, name=name: self._plain(name, event.new), "value"
            )
        self.theme.param.watch(lambda event: self._theme_chosen(event.new), "value")
        return [self.rounding, pn.Row(self.axis, self.window), pn.Row(self.sort, self.theme)]

    def _range(self) -> list[Any]:
        """The selection by keyboard: what brushing and clicking do."""
        number = {"width": WIDTH // 2 - 8, "value": None}
        self.low = pn.widgets.FloatInput(label="Values from", **number)
        self.high = pn.widgets.FloatInput(label="to", **number)
        self.probe = pn.widgets.FloatInput(label="Mark value", **number)
        self.channel = pn.widgets.IntInput(label="Channel", **number)
        self.clear = pn.widgets.Button(label="Clear the selection", width=WIDTH)
        self.range_problem = problem_line()
        for widget in (self.low, self.high):
            widget.param.watch(lambda _: self._range_typed(), "value")
        for name in ("probe", "channel"):
            getattr(self, name).param.watch(
                lambda event, name=name: self._plain(name, event.new, self.range_problem), "value"
            )
        self.clear.on_click(
            lambda _: self._set(self.range_problem, selection=None, probe=None, channel=None)
        )
        return [
            pn.Row(self.low, self.high), pn.Row(self.probe, self.channel), self.range_problem,
            self.clear,
        ]  # fmt: skip

    def _range_typed(self) -> None:
        if not self._quiet and None not in (self.low.value, self.high.value):
            self._set(self.range_problem, selection=(self.low.value, self.high.value))

    def _theme_chosen(self, theme: str) -> None:
        """Open the page again in the other theme, with the same state."""
        if self._quiet:
            return
        self.explorer.set(theme=theme)
        reopen(self.explorer)

    def _plain(self, name: str, value: Any, problem: Any = None) -> None:
        if not self._quiet:
            self._set(problem, **{name: value})

    def _set(self, problem: Any, **changes: Any) -> None:
        """Change the state; a refusal is said at the control and the picture stays."""
        self._said = problem is not None
        refusal = self.explorer.set(**changes)
        for line in (self.source_problem, *self.scheme_problems, self.design_problem,
                     self.range_problem):  # fmt: skip
            say(line, "")
        if problem is not None:
            say(problem, refusal)

    def follow(self) -> None:
        """Show the state in the widgets, the heading, and the code."""
        state, tensor = self.explorer.state, self.explorer.tensor
        self._quiet = True
        try:
            self._follow_source(state["source"])
            if not self.explorer.problem:
                texts = [*state["schemes"], *[""] * MOST_SCHEMES]
                for widget, text in zip(self.schemes, texts, strict=False):
                    put(widget, text)
            for name in PLAIN:
                put(getattr(self, name), state[name])
            low, high = state["selection"] or (None, None)
            put(self.low, low)
            put(self.high, high)
        finally:
            self._quiet = False
        shape = " × ".join(f"{n:,}" for n in tensor.shape) or "one value"
        problem = "" if self._said else html.escape(self.explorer.problem)
        alert = f'<p class="problem" role="alert">{problem}</p>' if problem else ""
        self.headline.object = (
            f'<div class="tensor">{html.escape(tensor.label)}</div>'
            f'<div class="quiet">{shape} · {tensor.count:,} values · drag over the value grid to '
            f"choose a range, click a channel to see it alone</div>{alert}"
        )
        self._write_code()

    def _write_code(self) -> None:
        """The code and the link, while they are open."""
        if not self.code.collapsed:
            write_code(self.code, self.explorer)

    def _follow_source(self, source: str) -> None:
        kind, _, rest = source.partition(":")
        if kind not in KINDS.values():
            return
        if self.kind.value != kind or not self.name.options:
            self.kind.value = kind
            self._offer(kind)
        if kind == "file":
            put(self.path, rest)
        elif kind == "synthetic":
            name, count, _ = rest.split(",")
            put(self.name, name)
            if int(count) in COUNTS.values():
                put(self.count, int(count))
        else:
            put(self.name, rest)
