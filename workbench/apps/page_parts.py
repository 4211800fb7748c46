"""What the Panel pages are put together from: texts, lines of refusal, folded code, the frame."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import panel as pn

from .page_style import BAR, CARD, CSS, DARK

WIDTH = 270


def text(words: str = "", **params: Any) -> Any:
    """A piece of HTML in the pages' style, as wide as there is room."""
    sheets = [CARD, *params.pop("stylesheets", [])]
    wide = {} if "width" in params else {"sizing_mode": "stretch_width"}
    return pn.pane.HTML(words, **({"margin": 0, "stylesheets": sheets} | wide | params))


def problem_line() -> Any:
    """A line for a refusal, read out by screen readers when it appears."""
    return pn.pane.HTML("", stylesheets=[CARD], width=WIDTH, margin=(0, 10), visible=False)


def say(line: Any, refusal: str) -> None:
    """Show a refusal in its line, or nothing."""
    shown = f'<p class="problem" role="alert">{html.escape(refusal)}</p>' if refusal else ""
    if line.object != shown:
        line.param.update(object=shown, visible=bool(refusal))


def later(document: Any, draw: Callable[[], object], delay: int = 0) -> None:
    """Run `draw` in a session's own thread, `delay` ms from now; at once where there is none.

    Args:
        document: `pn.state.curdoc` of when the session began.
        draw: what may change the page.
        delay: milliseconds.
    """
    if document is None or document.session_context is None:
        draw()
    elif delay:
        document.add_timeout_callback(draw, delay)
    else:
        document.add_next_tick_callback(draw)


def put(widget: Any, value: Any) -> None:
    """Show a value in a widget that does not show it."""
    if widget.value != value:
        widget.value = value


def typed(label: str, known: Sequence[str], hint: str) -> Any:
    """A field that takes any text and offers some."""
    return pn.widgets.AutocompleteInput(
        label=label, options=list(known), placeholder=hint, restrict=False, min_characters=1,
        case_sensitive=False, width=WIDTH,
    )  # fmt: skip


def folded(title: str, *inside: Any, **params: Any) -> Any:
    """A card that opens with a click on its title."""
    return pn.Card(
        *inside, title=title, collapsed=True, stylesheets=[BAR], header_background="transparent",
        active_header_background="transparent",
        **({"margin": 0, "sizing_mode": "stretch_width"} | params),
    )  # fmt: skip


def code_card() -> Any:
    """The folded code and link of an explorer; `write_code` fills it."""
    return folded("Code and link that redo this", text())


def write_code(card: Any, explorer: Any) -> None:
    """Fill in the code and the link of an explorer's state."""
    code, link = html.escape(explorer.code()), html.escape(explorer.link() or "?")
    card[0].object = f"<pre>{code}</pre><p>Link: <code>{link}</code></p>"


def frame(title: str, theme: str, main: Any, side: Sequence[Any] = ()) -> Any:
    """The whole page in a theme."""
    dark = theme == "dark"
    template = pn.template.BootstrapTemplate(
        title=title, theme="dark" if dark else "default", sidebar_width=WIDTH + 40,
        raw_css=[CSS + DARK if dark else CSS], header_background="#1C2530", busy_indicator=None,
    )  # fmt: skip
    template.sidebar.extend(side)
    template.main.append(main)
    return template


def link_of_page() -> str:
    """The state that the page was opened with, as its address says it."""
    location = pn.state.location
    return (location.search if location is not None else "") or ""


def show_link(explorer: Any) -> None:
    """Put the state of an explorer into the address."""
    if pn.state.location is not None:
        pn.state.location.search = explorer.link()


def reopen(explorer: Any) -> None:
    """Open the page again with the state that an explorer has now."""
    if pn.state.location is not None:
        pn.state.location.param.update(search=explorer.link(), reload=True)
