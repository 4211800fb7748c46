"""The format explorer as a Panel page: controls at the side, four linked views, their tables.

The page's state is the explorer's; its address is the explorer's link, so a copied address opens
what is seen.
"""

from __future__ import annotations

from typing import Any

import panel as pn

from ..explorers.format_explorer import FormatExplorer
from ..explorers.touched import touched
from ..views.view import View
from .format_controls import Controls
from .page_parts import folded, frame, later, link_of_page, show_link, text
from .page_style import SMALL
from .panel_speed import quicken
from .plotly_pane import PlotlyPane

TITLE = "Format explorer"
MOST_AT_ONCE = 1 << 21
AFTERWARDS = 15  # milliseconds, in which the first picture is written to the socket
NAMES = ("value_grid", "error_by_cause", "channel_fan", "metrics_table")


class Card:
    """One view on the page: heading, picture, caption, and its table twin, filled when opened."""

    def __init__(self, name: str):
        self.pane = PlotlyPane(sizing_mode="stretch_width", margin=0)
        self.table = text()
        self.download = pn.widgets.FileDownload(
            callback=self._csv, filename=f"{name}.csv", label="CSV",
            height=28, width=80, margin=(4, 0), stylesheets=[SMALL],
        )  # fmt: skip
        self.twin = folded("Table and CSV", pn.Row(self.download), self.table, margin=(2, 0))
        self.twin.param.watch(lambda _: self._fill(), "collapsed")
        self.view: View | None = None
        self.column = pn.Column(
            self.pane, self.twin, sizing_mode="stretch_width", margin=(0, 0, 14, 0)
        )

    def show(self, view: View) -> None:
        """Draw a view; the table follows only where it is open."""
        self.view = view
        self.pane.show(view)
        self._fill()

    def _fill(self) -> None:
        if self.view is not None and not self.twin.collapsed:
            self.table.object = f'<div class="scroll" tabindex="0">{self.view.table_html()}</div>'

    def _csv(self) -> Any:
        import io

        return io.StringIO(self.view.csv() if self.view else "")


class FiguresCard(Card):
    """The table of figures, open, with its picture beside it where there is room."""

    def __init__(self, name: str):
        super().__init__(name)
        self.twin.collapsed = False
        self.pane.param.update(sizing_mode="stretch_width", min_width=420, bare=True)
        self.heading, self.caption = text(), text()
        self.column.objects = [
            self.heading,
            pn.FlexBox(
                pn.Column(self.table, self.caption, self.download, min_width=640), self.pane,
                flex_wrap="wrap", sizing_mode="stretch_width", gap="18px",
            ),
        ]  # fmt: skip

    def show(self, view: View) -> None:
        """Draw a view, its words around the table."""
        mark = "exact" if view.provenance == "exact" else "estimate"
        self.heading.object = (
            f'<h2 class="view-title">{view.title}<span class="view-origin {mark}" '
            f'title="where the numbers come from">{view.provenance}</span></h2>'
        )
        self.caption.object = f'<p class="view-caption">{view.caption}</p>'
        super().show(view)


class FormatPage:
    """The page of one session: an explorer, its controls, and its cards."""

    def __init__(self, link: str = ""):
        self.explorer = FormatExplorer()
        refusal = self.explorer.follow(link) if link else ""
        self.explorer.problem = refusal
        kinds = {"metrics_table": FiguresCard}
        self.cards = {name: kinds.get(name, Card)(name) for name in NAMES}
        self.controls = Controls(self.explorer)
        self._document = pn.state.curdoc
        self._waiting: set[str] = set()
        self._asked = False
        self._listen()
        self.explorer.param.watch(self._changed, list(FormatExplorer.STATE))
        if self._document is not None and self.explorer.tensor.count > MOST_AT_ONCE:
            pn.state.onload(self._first)
        else:
            self._first()

    def _first(self) -> None:
        """The first pictures; of a large tensor only once the page itself is there."""
        self.draw(NAMES)
        self._refine()

    def draw(self, names: tuple[str, ...]) -> None:
        """Draw these views of the present state."""
        views = self.explorer.figures(names)
        for name, view in views.items():
            self.cards[name].show(view)

    def _changed(self, *events: Any) -> None:
        """Redraw what a change touches: the first picture at once, the rest when it is sent."""
        first, *others = touched(event.name for event in events)
        self.draw((first,))
        self._waiting.update(others)
        if not self._asked:
            self._asked = True
            later(self._document, self._follow, AFTERWARDS)

    def _follow(self) -> None:
        """Draw what waits, of several changes only the last, and put the state into the address."""
        self._asked = False
        names, self._waiting = tuple(n for n in NAMES if n in self._waiting), set()
        with pn.io.hold():
            self.draw(names)
        show_link(self.explorer)
        self._refine()

    def _refine(self) -> None:
        """Have the exact numbers computed behind the sketch's, and drawn when they are there."""
        self.explorer.refine(lambda: later(self._document, lambda: self.draw(NAMES)))

    def _listen(self) -> None:
        """Brushing and clicking in one view changes the selection of all."""
        self.cards["value_grid"].pane.brushed = self._brushed
        self.cards["value_grid"].pane.clicked = self._probed
        self.cards["channel_fan"].pane.clicked = self._channel_chosen

    def _brushed(self, places: list[float]) -> None:
        low, high = self.explorer.value_axis().value(places)
        self.explorer.set(selection=(float(low), float(high)))

    def _probed(self, point: dict[str, Any]) -> None:
        self.explorer.set(probe=float(self.explorer.value_axis().value(point["x"])))

    def _channel_chosen(self, point: dict[str, Any]) -> None:
        data = point["customdata"]
        if data is not None and len(data) == 5:
            channel = int(data[4])
            self.explorer.set(channel=None if channel == self.explorer.channel else channel)

    def stop(self) -> None:
        """Drop the background work of a session that has ended."""
        self.explorer.cancel()


def build() -> Any:
    """The page of a new session, from the address it was opened with."""
    quicken()
    page = FormatPage(link_of_page())
    if pn.state.curdoc is not None:
        pn.state.on_session_destroyed(lambda _: page.stop())
    return frame(TITLE, page.explorer.theme, _main(page), [page.controls.column])


def _main(page: FormatPage) -> pn.Column:
    """The value grid and the table first, then the error and the fan."""
    cards = {name: card.column for name, card in page.cards.items()}
    return pn.Column(
        page.controls.headline,
        cards["value_grid"],
        cards["metrics_table"],
        cards["error_by_cause"],
        cards["channel_fan"],
        page.controls.code,
        sizing_mode="stretch_width",
    )
