"""The picture of who rounds differently says the numbers of its records, in cells, words, table."""

from __future__ import annotations

import copy
import json

import numpy as np
import plotly.graph_objects as go
import pytest

import workbench as wb
from workbench.studies import conformance as study
from workbench.studies.conformance_peers import Peer
from workbench.views import style
from workbench.views.conformance import conformance
from workbench.views.style import CIVIDIS


def ours(name):
    return lambda x: wb.format(name).round(x)


def broken(x):
    raise OSError("<no> compiler")


PEERS = (
    Peer("same", "numpy", {"e4m3fn": ours("e4m3fn"), "e2m1": ours("e2m1")}),
    Peer("other", "numpy", {"e4m3fn": ours("e4m3fn(nan)")}),
    Peer("wild", "numpy", {"e2m1": np.rint}),
    Peer("stopped", "no-such-package", {"e4m3fn": broken}),
)


@pytest.fixture(scope="module")
def records():
    with np.errstate(all="ignore"):
        return json.loads(json.dumps(study.records(study.run(peers=PEERS))))


@pytest.fixture
def view(records):
    return conformance(records)


def cells(view):
    (texts,) = (t for t in view.plot["data"] if t["type"] == "scatter")
    return dict(zip(zip(texts["y"], texts["x"], strict=True), texts["text"], strict=True))


def test_each_cell_says_how_many_differ_and_a_sign(view, records):
    found = cells(view)
    assert found["e4m3fn", "same"] == "0 ="
    assert found["e4m3fn", "stopped"] == "!"
    assert found["e4m3fn", "other"].endswith("k ≡")
    assert found["e2m1", "wild"].endswith("k ≠")
    assert len(found) == len(records["rows"]) == 5


def test_the_colour_grows_with_the_share_and_pairs_not_compared_are_empty(view, records):
    heat = view.plot["data"][0]
    shown = {(f, p): heat["z"][i][j]
             for i, f in enumerate(heat["y"]) for j, p in enumerate(heat["x"])}  # fmt: skip
    assert shown["e4m3fn", "same"] == 0
    assert shown["e2m1", "other"] is shown["e4m3fn", "stopped"] is None
    for row in records["rows"]:
        if not row["reason"]:
            share = row["differing"] / row["inputs"]
            assert shown[row["format"], row["peer"]] == pytest.approx(share**0.5)


def test_hover_tells_the_kinds_with_one_input_each(view, records):
    heat = view.plot["data"][0]
    text = heat["text"][heat["y"].index("e4m3fn")][heat["x"].index("other")]
    assert "equals e4m3fn(nan)" in text
    row = next(row for row in records["rows"] if row["peer"] == "other")
    assert {d["kind"] for d in row["differences"]} == {"overflow", "infinity"}
    for difference in row["differences"]:
        assert f"{difference['kind']}: {difference['count']:,}" in text
    stopped = heat["text"][heat["y"].index("e4m3fn")][heat["x"].index("stopped")]
    assert "did not run: OSError: &lt;no&gt; compiler" in stopped


def test_the_caption_is_computed(view, records):
    assert view.caption.startswith(
        "Of 4 pairs of a library and a format, 2 agree with the format here on every input, "
        "1 with another convention here, 1 with none; same agrees wherever compared; "
        "wild differs most"
    )
    assert view.caption.endswith(".")
    kept = [row for row in records["rows"] if row["peer"] == "other"]
    alone = conformance({**records, "rows": kept}).caption
    assert alone.startswith("Of 1 pair of a library and a format, 0 agree with")
    assert "wherever" not in alone
    assert conformance({**records, "rows": []}).caption == "No library was compared."


def test_the_table_twin_has_a_row_a_pair(view, records):
    rows = view.data()
    assert [(row["format"], row["library"]) for row in rows] == [
        (row["format"], row["peer"]) for row in records["rows"]
    ]
    assert all(row.keys() == rows[0].keys() for row in rows)
    stopped = next(row for row in rows if row["library"] == "stopped")
    assert stopped["did not run"] == "OSError: <no> compiler"
    assert "<table" in view.table_html()
    assert "&lt;no&gt;" in view.table_html()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_are_valid_plain_and_readable(records, theme):
    before = copy.deepcopy(records)
    view = conformance(records, {"theme": theme})
    assert records == before
    json.dumps(view.plot, allow_nan=False)
    figure = go.Figure(view.plot)
    assert {trace.type for trace in figure.data} <= set(style.TRACES)
    assert view.payload() <= 500_000
    assert view.figure.layout.meta["provenance"].startswith("exact, with workbench ")
    inks = view.plot["data"][1]["textfont"]["color"]
    grounds = {row["sign"]: ink for row, ink in zip(records["rows"], inks, strict=True)}
    assert style.contrast(grounds["="], CIVIDIS[0]) >= 4.5
    assert style.contrast(grounds["!"], style.theme(theme).plot) >= 3


@pytest.mark.parametrize("share", np.linspace(0, 1, 41))
def test_text_is_read_on_every_colour(records, share):
    row = {**records["rows"][0], "inputs": 10_000, "differing": int(share * 10_000)}
    view = conformance({**records, "rows": [row]})
    at = view.plot["data"][0]["z"][0][0] * (len(CIVIDIS) - 1)
    low = min(int(at), len(CIVIDIS) - 2)
    ground = style.mix(CIVIDIS[low], CIVIDIS[low + 1], at - low)
    assert style.contrast(view.plot["data"][1]["textfont"]["color"][0], ground) >= 4.5
