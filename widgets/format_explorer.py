"""The format explorer in a notebook cell."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import ipywidgets as ipw

from workbench._jupyter import running_kernel
from workbench.explorers.format_explorer import MOST_SCHEMES, MOST_SHIFT, VIEWS, FormatExplorer
from workbench.explorers.touched import touched
from workbench.formats import ROUNDINGS

from .figure import ViewBox, readable

_WIDE = {"description_width": "initial"}


class FormatExplorerWidget(ipw.VBox):
    """Controls and the four linked views over a `FormatExplorer`.

    Changes of the explorer, from here or from code, are drawn; exact numbers are computed in the
    background and replace the sketch's. A refused entry is said beside its control.

    Args:
        explorer: the state; also reached as `.explorer`.
    """

    def __init__(self, explorer: FormatExplorer):
        self.explorer = explorer
        self._quiet = False
        self._kernel = running_kernel()
        self.boxes = {name: ViewBox() for name in VIEWS}
        self.boxes["value_grid"].brushed = self._brushed
        self.boxes["value_grid"].clicked = self._probed
        self.boxes["channel_fan"].clicked = self._channel_chosen
        self.headline, self.problem, self.code = ipw.HTML(), ipw.HTML(), ipw.HTML()
        code = ipw.Accordion([self.code], titles=["Code and link"], selected_index=None)
        super().__init__(
            [self.headline, *self._controls(), self.problem, *self.boxes.values(), code]
        )
        self.draw(tuple(VIEWS))
        self._follow()
        explorer.param.watch(self._changed, [*FormatExplorer.STATE, "problem"])
        self._refine()

    def draw(self, names: tuple[str, ...]) -> None:
        """Draw these views of the present state."""
        for name, view in self.explorer.figures(names).items():
            self.boxes[name].show(view)

    def _controls(self) -> list[Any]:
        """Schemes, rounding, scale handle, selection."""
        self.schemes = [
            ipw.Text(
                description=f"Scheme {i + 1}", continuous_update=False,
                placeholder="e4m3fn, int4/g128 ...", layout={"width": "220px"},
            )
            for i in range(MOST_SCHEMES)
        ]  # fmt: skip
        for widget in self.schemes:
            widget.observe(lambda _: self._schemes_typed(), "value")
        self.shift = ipw.FloatSlider(
            description="Scale handle: scales × 2^", min=-MOST_SHIFT, max=MOST_SHIFT,
            step=0.0625, style=_WIDE, readout_format=".3f", layout={"width": "440px"},
        )  # fmt: skip
        self.rounding = ipw.Dropdown(description="Rounding", options=list(ROUNDINGS))
        self.channel = ipw.Text(description="Channel", continuous_update=False, placeholder="all")
        self.range = ipw.Text(
            description="Values", continuous_update=False, placeholder="all, or -0.1, 0.1"
        )
        self.channel.layout = self.range.layout = {"width": "220px"}
        clear = ipw.Button(description="Clear the selection")
        clear.on_click(lambda _: self.explorer.set(selection=None, probe=None, channel=None))
        self.shift.observe(lambda change: self._set(shift=float(change["new"])), "value")
        self.rounding.observe(lambda change: self._set(rounding=change["new"]), "value")
        self.channel.observe(lambda change: self._channel_typed(change["new"]), "value")
        self.range.observe(lambda change: self._range_typed(change["new"]), "value")
        flow = {"flex_flow": "row wrap"}
        return [
            ipw.HBox(self.schemes, layout=flow),
            ipw.HBox([self.shift, self.rounding, self.range, self.channel, clear], layout=flow),
        ]

    def _set(self, **changes: Any) -> None:
        if not self._quiet:
            self.explorer.set(**changes)

    def _schemes_typed(self) -> None:
        self._set(schemes=[w.value.strip() for w in self.schemes if w.value.strip()])

    def _channel_typed(self, text: str) -> None:
        if not text.strip():
            self._set(channel=None)
        elif text.strip().isdigit():
            self._set(channel=int(text))
        else:
            self.explorer.problem = f"channel {text!r} → it is a whole number → write 0"

    def _range_typed(self, text: str) -> None:
        parts = text.replace("−", "-").split(",")
        self._set(selection=None if not text.strip() else [part.strip() for part in parts])

    def _brushed(self, places: list[float]) -> None:
        low, high = self.explorer.value_axis().value(places)
        self.explorer.set(selection=(float(low), float(high)))

    def _probed(self, place: dict[str, Any]) -> None:
        self.explorer.set(probe=float(self.explorer.value_axis().value(place["x"])))

    def _channel_chosen(self, place: dict[str, Any]) -> None:
        data = place["customdata"]
        if data is not None and len(data) == 5:
            channel = int(data[4])
            self.explorer.set(channel=None if channel == self.explorer.channel else channel)

    def _changed(self, *events: Any) -> None:
        names = touched(event.name for event in events)
        if names:
            self.draw(names)
            self._refine()
        self._follow()

    def _refine(self) -> None:
        self.explorer.refine(lambda: self._later(lambda: self.draw(tuple(VIEWS))))

    def _later(self, draw: Callable[[], None]) -> None:
        """Run `draw` in the kernel's own thread, where there is one."""
        if self._kernel is None:
            draw()
        else:
            self._kernel.io_loop.add_callback(draw)

    def _follow(self) -> None:
        """Show the state in the controls."""
        state, tensor = self.explorer.state, self.explorer.tensor
        self._quiet = True
        if not self.explorer.problem:
            for widget, text in zip(self.schemes, [*state["schemes"], *[""] * 4], strict=False):
                widget.value = text
            low, high = state["selection"] or (None, None)
            self.range.value = "" if low is None else f"{low:.6g}, {high:.6g}"
            self.channel.value = "" if state["channel"] is None else str(state["channel"])
            self.shift.value, self.rounding.value = state["shift"], state["rounding"]
        self._quiet = False
        shape = " × ".join(f"{n:,}" for n in tensor.shape) or "one value"
        self.headline.value = f"<b>{html.escape(tensor.label)}</b> &nbsp; {shape}"
        problem = html.escape(self.explorer.problem)
        self.problem.value = f'<span role="alert"><b>{problem}</b></span>' if problem else ""
        code, link = html.escape(self.explorer.code()), html.escape(self.explorer.link() or "?")
        self.code.value = f"<pre>{code}</pre>Link of the served page: <code>{link}</code>"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and for readers without a kernel the figures of merit as a table."""
        table = self.explorer.figures(("metrics_table",))["metrics_table"]
        return readable(super()._repr_mimebundle_(**options), table)
