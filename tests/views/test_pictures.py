"""Every picture shows the numbers it was given, says so in words, and leaves in every format."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.explorers.format_explorer import VIEWS
from workbench.views import ViewSpec, grid_of, metrics_table, style, value_grid

NAMES = list(VIEWS)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_figures_are_valid_small_and_of_allowed_traces(explorer, name, theme):
    explorer.set(theme=theme, selection=(-0.1, 0.1), probe=0.02, channel=3)
    view = explorer.figures((name,))[name]
    figure = go.Figure(view.plot)
    assert {trace.type for trace in figure.data} <= set(style.TRACES)
    assert view.payload() <= 500_000
    marks = sum(len(t.x) for t in figure.data if t.type == "scatter" and t.mode == "markers")
    assert marks <= 2000
    assert figure.layout.uirevision
    assert view.figure.layout.meta["provenance"] == view.provenance


@pytest.mark.parametrize("channel", [None, 3])
@pytest.mark.parametrize("name", NAMES)
def test_everything_but_plain_arrays_is_json(explorer, name, channel):
    """A widget sends arrays of one axis as bytes and all else as JSON, which has no NaN."""
    explorer.set(channel=channel, schemes=["e5m2", "int3", "mxfp6", "nf4/b64"])
    view = explorer.figures((name,))[name]
    json.dumps(_listed(view.plot), allow_nan=False)


def _listed(value):
    """A figure without its arrays of one axis, the others as lists."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    if isinstance(value, np.ndarray):
        return None if value.ndim == 1 and value.dtype.kind in "iuf" else value.tolist()
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_has_a_caption_words_and_a_table(explorer, name):
    view = explorer.figures((name,))[name]
    assert view.caption.endswith(".")
    assert view.caption in view.describe()
    rows = view.data()
    assert rows
    assert all(row.keys() == rows[0].keys() for row in rows)
    assert next(iter(csv.DictReader(io.StringIO(view.csv())))).keys() == rows[0].keys()
    assert "<table" in view.table_html()


def test_every_code_in_view_is_a_tick_at_its_value(explorer):
    view = explorer.figures(("value_grid",))["value_grid"]
    axis = explorer.value_axis()
    values = wb.format("e4m3fn").values
    seen = values[(values >= axis.low) & (values <= axis.high)]
    drawn = np.sort(np.concatenate([axis.value(t["x"][::3]) for t in _ticks(view, "e4m3fn")]))
    assert drawn == pytest.approx(seen)


def _ticks(view, label: str) -> list[dict]:
    """The traces of a strip's ticks."""
    names = (f"{label} used", f"{label} unused")
    return [t for t in view.plot["data"] if t["name"] in names]


def test_subnormals_are_drawn_shorter_and_unused_codes_pale(explorer):
    view = explorer.figures(("value_grid",))["value_grid"]
    for line in _ticks(view, "e4m3fn"):
        tiny = np.abs(line["customdata"][:, 0]) < 2.0**-6
        tiny &= line["customdata"][:, 0] != 0
        texts = line["text"] or [""] * tiny.size
        assert [text == " subnormal" for text in texts] == list(tiny)
        heights = line["y"][1::3] - line["y"][0]
        assert (heights[tiny[1::3]] < 0.5 * heights.max()).all()
    assert len({line["line"]["color"] for line in _ticks(view, "e4m3fn")}) == 2


def test_caption_counts_the_unused_codes(explorer, tensor):
    unused = 253 - np.unique(wb.format("e4m3fn").round(tensor) + 0.0).size
    caption = explorer.figures(("value_grid",))["value_grid"].caption
    assert f"e4m3fn ({unused} of 253)" in caption


def test_sawtooth_is_the_step_over_the_value(explorer):
    view = explorer.figures(("value_grid",))["value_grid"]
    line = next(t for t in view.plot["data"] if t["name"] == "e4m3fn step")
    x, ratio = line["customdata"], line["y"]
    inside = (ratio < 2) & (np.abs(x) > 2**-6)
    steps = wb.format("e4m3fn").precision(x[inside])
    assert ratio[inside] == pytest.approx(steps / np.abs(x[inside]))


def test_sixteen_bit_formats_are_bars_until_zoomed():
    view = value_grid([grid_of(wb.format("bf16")), grid_of(wb.format("f16"))])
    assert [t["type"] for t in view.plot["data"] if "yaxis" in t and t["yaxis"] == "y2"] == [
        "bar",
        "bar",
    ]
    assert view.payload() < 500_000


def test_error_bars_of_a_cause_add_up_to_all_values(explorer):
    explorer.wait(60)
    for field in explorer.compute().fields:
        assert field.shares().sum() == pytest.approx(1)
        assert sum(field.budget().values()) == pytest.approx(1)


def test_budget_is_that_of_the_metrics(explorer, tensor):
    done = []
    explorer.refine(lambda: done.append(True), delay=0)
    assert explorer.wait(120)
    for field in explorer.compute().fields:
        report = wb.metrics.error(tensor, field.label)
        assert field.mse == pytest.approx(report.mse, rel=1e-9)
        for cause, share in field.budget().items():
            assert share == pytest.approx(report.causes[cause] / report.mse, abs=1e-9)


def test_budget_bars_in_the_picture_are_the_budget(explorer):
    view = explorer.figures(("error_by_cause",))["error_by_cause"]
    fields = explorer.compute().fields
    bars = [t for t in view.plot["data"] if t.get("orientation") == "h"]
    for i, field in enumerate(fields):
        drawn = {bar["meta"]["budget"]: bar["x"][i] for bar in bars}
        assert drawn == pytest.approx({**dict.fromkeys(drawn, 0.0), **field.budget()})


def test_fan_says_which_channel_sets_the_scale(explorer):
    view = explorer.figures(("channel_fan",))["channel_fan"]
    assert "channel 11," in view.caption
    assert view.data()[0]["channel"] == 11


def test_fan_quantiles_are_those_of_the_channels(explorer, tensor):
    fan = explorer.compute().fan
    assert fan.largest == pytest.approx(np.abs(tensor).max(1), rel=1e-6)
    exact = np.quantile(tensor, [0.05, 0.95], axis=1)
    assert fan.low[1] == pytest.approx(exact[0], rel=0.13)
    assert fan.high[1] == pytest.approx(exact[1], rel=0.13)


def test_metrics_table_shows_true_bytes(explorer, tensor):
    for row in explorer.figures(("metrics_table",))["metrics_table"].data():
        scheme = wb.scheme(row["scheme"])
        assert row["bytes with scales"] == scheme.quantize(tensor).nbytes
        assert row["bits a value"] == pytest.approx(scheme.bits_per_value(tensor.shape), abs=1e-4)


def test_no_scheme_makes_an_empty_table():
    assert metrics_table([]).caption == "No scheme is chosen."


def test_views_are_written_as_their_ending_says(explorer, tmp_path):
    view = explorer.figures(("value_grid",))["value_grid"]
    html = view.write(tmp_path / "grid.html").read_text()
    assert "cdn.plot.ly" not in html.split("<script")[0]
    assert view.caption in html
    assert (view.write(tmp_path / "grid.csv").read_text()).startswith("scheme,code,bits,value")
    with pytest.raises(WorkbenchError, match="docx"):
        view.write(tmp_path / "grid.docx")


def test_a_picture_without_kaleido_says_what_to_install(explorer, tmp_path, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "kaleido" else find(name, *a)
    )
    view = explorer.figures(("metrics_table",))["metrics_table"]
    with pytest.raises(WorkbenchError, match="pip install kaleido"):
        view.write(tmp_path / "grid.svg")


def test_an_unknown_entry_of_a_spec_names_the_nearest():
    with pytest.raises(WorkbenchError, match="theme"):
        ViewSpec.of({"thme": "dark"})
