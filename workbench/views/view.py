"""What every view returns: a plotly figure, a sentence, where the numbers come from, and the table.

A view never holds the tensor itself, only what is drawn; so it can be saved, mailed and read aloud.
"""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from .._files import replacing
from ..errors import WorkbenchError, unknown
from .style import CONFIG, theme

FILE_KINDS = ("csv", "html", "png", "svg")


@dataclass(frozen=True)
class ViewSpec:
    """What of a summary is shown, as plain JSON values.

    Args:
        theme: "light" or "dark".
        axis: "symlog2" or "linear", the scale of the value axis.
        selection: the chosen value range [low, high], or None for all.
        probe: a value marked in every view, or None.
        channel: a channel marked in the fan, or None.
        channels: several that are marked in the outlier map.
        sort: order of the channels, "size" or "index".
        window: "data" shows where the data lies, "formats" every value the formats have.
        version: of this record, for links made by later versions.

    Example:
        >>> ViewSpec.of({"theme": "dark"}).theme
        'dark'
    """

    theme: str = "light"
    axis: str = "symlog2"
    selection: tuple[float, float] | None = None
    probe: float | None = None
    channel: int | None = None
    channels: tuple[int, ...] = ()
    sort: str = "size"
    window: str = "data"
    version: int = 1

    @classmethod
    def of(cls, spec: ViewSpec | Mapping[str, Any] | None) -> ViewSpec:
        """A spec from a mapping, from nothing, or as it is; an unknown key gets the nearest."""
        if isinstance(spec, ViewSpec):
            return spec
        known = {entry.name for entry in fields(cls)}
        for key in spec or {}:
            if key not in known:
                raise unknown("entry of a view's spec", key, known)
        return cls(**(spec or {}))

    def plain(self) -> dict[str, Any]:
        """The entries as JSON-able values."""
        return json.loads(json.dumps(asdict(self)))


@dataclass(frozen=True)
class View:
    """A drawn picture with everything that must travel with it.

    Args:
        name: short name, such as "value_grid".
        title: what a heading above it says.
        plot: the figure's traces and layout as plain values and arrays, which is what hosts send.
        caption: one sentence that says what to notice.
        provenance: where the numbers come from: "exact", "sketch ± 0.01 dB", ...
        table: makes the table twin, one dict a row, all rows with the same keys; called when asked.
        description: the picture in words, for those who do not see it.
        spec: what was asked for.
    """

    name: str
    title: str
    plot: dict[str, Any] = field(repr=False)
    caption: str
    provenance: str
    table: Callable[[], list[dict[str, Any]]] = field(repr=False)
    description: str = ""
    spec: ViewSpec = field(default_factory=ViewSpec, repr=False)

    @cached_property
    def figure(self) -> Any:
        """The plotly figure, with title, provenance and version among its metadata."""
        import plotly.graph_objects as go

        from .. import __version__

        figure = go.Figure(self.plot)
        figure.layout.meta = {
            "title": self.title, "caption": self.caption, "provenance": self.provenance,
            "version": __version__,
        }  # fmt: skip
        return figure

    def data(self) -> list[dict[str, Any]]:
        """The table twin: one dict a row."""
        return self.table()

    def describe(self) -> str:
        """The picture in words: title, what is drawn, what to notice, provenance."""
        parts = [f"{self.title}.", self.description, self.caption, f"Numbers: {self.provenance}."]
        return " ".join(part for part in parts if part)

    def csv(self) -> str:
        """The table twin as CSV text, with a header."""
        out, rows = io.StringIO(), self.data()
        if rows:
            writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return out.getvalue()

    def table_html(self, most: int = 400) -> str:
        """The table twin as an HTML table of at most `most` rows, and a line on those left out."""
        rows = self.data()
        if not rows:
            return "<p>No rows.</p>"
        head = "".join(f'<th scope="col">{html.escape(key)}</th>' for key in rows[0])
        body = "".join(
            "<tr>"
            + "".join(f"<td>{html.escape(cell_text(v))}</td>" for v in row.values())
            + "</tr>"
            for row in rows[:most]
        )
        left = len(rows) - most
        more = f"<p>{left:,} more rows are in the CSV.</p>" if left > 0 else ""
        label = html.escape(f"Table of {self.title}")
        return (
            f'<table aria-label="{label}"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table>{more}"
        )

    def html(self) -> str:
        """The picture as one self-contained HTML page that asks nothing of the network."""
        body = self.figure.to_html(include_plotlyjs=True, full_html=False, config=CONFIG)
        look = theme(self.spec.theme)
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8">'
            f"<title>{html.escape(self.title)}</title>"
            f'<body style="background:{look.paper};color:{look.text};font-family:sans-serif">'
            f"{body}<p>{html.escape(self.caption)} ({html.escape(self.provenance)})</p>"
            f"<details><summary>Table</summary>{self.table_html()}</details></body></html>"
        )

    def write(self, path: str | Path) -> Path:
        """Write the view to `path`, as its ending says: .png (2x), .svg, .html or .csv.

        Pictures need the package kaleido and a Chromium; without them the error says so.
        """
        path = Path(path)
        kind = path.suffix.lstrip(".").lower()
        if kind not in FILE_KINDS:
            raise WorkbenchError(
                str(path), "a view is written as " + ", ".join(FILE_KINDS), f"write {path.stem}.svg"
            )
        if kind in ("png", "svg"):
            content = self._picture(kind)
        else:
            content = (self.csv() if kind == "csv" else self.html()).encode()
        with replacing(path) as spare:
            spare.write_bytes(content)
        return path

    def _picture(self, kind: str) -> bytes:
        """The figure as PNG or SVG, drawn by kaleido."""
        import importlib.util

        if importlib.util.find_spec("kaleido") is None:
            raise WorkbenchError(
                f"a .{kind} file",
                "drawing it outside a browser needs kaleido, which is not installed",
                "pip install kaleido, or write .html, or use the camera button of the picture",
            )
        try:
            return self.figure.to_image(format=kind, width=1000, scale=2 if kind == "png" else 1)
        except Exception as problem:
            raise WorkbenchError(
                f"a .{kind} file",
                f"kaleido could not draw it ({type(problem).__name__}: {problem})",
                "install a Chromium, or write .html",
            ) from problem

    def payload(self) -> int:
        """Bytes of the figure as JSON, which is what one full update sends at most."""
        return len(self.figure.to_json())


def cell_text(value: Any) -> str:
    """One cell of a table as text: numbers to six digits, nothing for None.

    Example:
        >>> cell_text(0.1234567), cell_text(None), cell_text(12)
        ('0.123457', '', '12')
    """
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
