"""The sensitivity map shows every measured figure in its cell, and the worst in words."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from workbench.errors import WorkbenchError
from workbench.views import Sensitivity, sensitivity_map, style
from workbench.views.sensitivity import place_of

LAYERS = [
    f"layers.{block}.{name}_proj"
    for block in range(3)
    for name in ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up")
] + ["layers.1.mlp.down_proj", "layers.0.mlp.router", "lm_head"]


def records(accumulated: bool = True) -> list[dict]:
    rng = np.random.default_rng(0)
    return [
        {
            "scheme": scheme,
            "layer": layer,
            "isolated": float(-20 - 3 * bits + rng.normal()),
            "accumulated": float(-15 - 3 * bits + rng.normal()) if accumulated else None,
        }
        for scheme, bits in (("int4/g32", 4), ("int3/g32", 3))
        for layer in LAYERS
    ]


@pytest.fixture
def found() -> Sensitivity:
    return Sensitivity.of(records())


def heats(view):
    return [t for t in view.plot["data"] if t["type"] == "heatmap"]


def test_layers_are_placed_by_their_names(found):
    assert found.blocks == ("0", "1", "2", "other")
    assert found.kinds == ("q", "k", "v", "o", "gate", "up", "down", "lm_head", "router")
    assert found.names[1][6] == "layers.1.mlp.down_proj"
    assert found.names[0][6] == found.names[3][0] == ""
    assert place_of("model.layers.31.self_attn.o_proj.weight") == ("31", "o")
    assert place_of("h.2.attn.c_attn") == ("2", "c_attn")


def test_every_figure_is_in_its_cell(found):
    view = sensitivity_map(found)
    cells = {}
    for heat in heats(view):
        for line, values in zip(heat["customdata"], heat["z"], strict=True):
            for (layer, scheme, mode, *_), value in zip(line, values, strict=True):
                cells[layer, scheme, mode] = value
    for row in records():
        for mode in ("isolated", "accumulated"):
            key = row["layer"], row["scheme"], mode
            assert cells[key] == pytest.approx(row[mode], abs=1e-3)


def test_a_click_gives_layer_scheme_and_mode(found):
    heat = heats(sensitivity_map(found))[3]
    layer, scheme, mode, isolated, accumulated = heat["customdata"][1][6]
    assert (layer, scheme, mode) == ("layers.1.mlp.down_proj", "int3/g32", "accumulated")
    row = next(r for r in records() if (r["layer"], r["scheme"]) == (layer, scheme))
    assert isolated == f"−{abs(row['isolated']):.4g} dB"
    assert accumulated == f"−{abs(row['accumulated']):.4g} dB"


def test_one_range_of_colours_for_all_panels(found):
    ranges = {(heat["zmin"], heat["zmax"]) for heat in heats(sensitivity_map(found))}
    figures = [row[mode] for row in records() for mode in ("isolated", "accumulated")]
    assert ranges == {(min(figures), max(figures))}
    assert [heat["showscale"] for heat in heats(sensitivity_map(found))] == [True] + [False] * 3


def test_the_caption_names_the_worst_layer(found):
    rows = records()
    worst = max(rows, key=lambda row: row["isolated"])
    same = [row["isolated"] for row in rows if row["scheme"] == worst["scheme"]]
    gap = worst["isolated"] - np.median(same)
    block, kind = place_of(worst["layer"])
    caption = sensitivity_map(found).caption
    assert caption.startswith(
        f"{kind} of block {block} has the worst layer error, −{abs(worst['isolated']):.3g} dB "
        f"under {worst['scheme']}, {gap:.2g} dB worse than the median layer; with all layers up to "
    )
    alone = sensitivity_map(Sensitivity.of(records(accumulated=False)))
    assert alone.caption.endswith("worse than the median layer.")
    assert len(heats(alone)) == 2


def test_divergences_are_compared_by_ratio():
    rows = [{"scheme": "int4", "layer": f"layers.{i}.mlp.up_proj", "isolated": 0.001 * 2**i}
            for i in range(5)]  # fmt: skip
    about = {"figure": "KL", "unit": "nats a byte", "ratio": True}
    found = Sensitivity.of(rows, **about)
    view = sensitivity_map(found)
    assert view.caption == (
        "up of block 4 has the worst KL, 0.016 nats a byte under int4, 4 times the median layer's."
    )
    assert np.diff(np.ravel(heats(view)[0]["z"])) == pytest.approx(1, abs=1e-3)
    texts = next(t for t in view.plot["data"] if t["type"] == "scatter")["text"]
    assert texts == ["1", "2", "4", "8", "16"]
    heading = view.plot["layout"]["annotations"][1]["text"]
    assert heading == "KL, 10⁻³ nats a byte, only this layer quantized"
    nothing = Sensitivity.of([{**rows[0], "isolated": 0.0}, rows[1]], **about)
    assert np.isfinite(nothing.damage["isolated"]).all()
    assert nothing.worst("isolated") == (0, 1, 0)


def test_low_figures_can_be_the_worse_ones():
    rows = [{"scheme": "int4", "layer": f"layers.{i}.mlp.up_proj", "isolated": 20.0 + i}
            for i in range(3)]  # fmt: skip
    view = sensitivity_map(Sensitivity.of(rows, figure="SQNR", worse="low"))
    assert view.caption.startswith("up of block 0 has the worst SQNR, 20 dB under int4, 1 dB worse")
    heat = heats(view)[0]
    assert heat["z"][0][0] == heat["zmax"]
    assert heat["colorbar"]["ticktext"] == ["22", "22", "21", "20", "20"]


def test_what_was_not_measured_is_a_stroke_and_what_is_not_there_is_bare(found):
    rows = records()
    rows[0]["isolated"] = None
    view = sensitivity_map(Sensitivity.of(rows))
    texts = next(t for t in view.plot["data"] if t["type"] == "scatter")
    cells = dict(zip(zip(texts["y"], texts["x"], strict=True), texts["text"], strict=True))
    assert cells["0", "q"] == "╱"
    assert ("0", "down") not in cells
    assert heats(view)[0]["z"][0][0] is None
    assert heats(view)[0]["customdata"][0][0][3] == "not measured"
    assert view.data()[0]["layer error (dB), only this layer quantized"] is None


def test_the_chosen_layer_is_framed_in_every_panel(found):
    shapes = sensitivity_map(found, layer="layers.2.self_attn.v_proj").plot["layout"]["shapes"]
    assert len(shapes) == 4
    assert {(s["x0"], s["y0"]) for s in shapes} == {(1.5, 1.5)}
    assert sensitivity_map(found).plot["layout"]["shapes"] == []


def test_the_table_has_a_row_a_scheme_and_layer(found):
    rows = sensitivity_map(found).data()
    assert len(rows) == 2 * len(LAYERS)
    assert all(row.keys() == rows[0].keys() for row in rows)
    assert {row["layer"] for row in rows} == set(LAYERS)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_are_valid_plain_and_readable(found, theme):
    view = sensitivity_map(found, {"theme": theme})
    assert {t.type for t in go.Figure(view.plot).data} <= set(style.TRACES)
    json.dumps(view.plot, allow_nan=False)
    low, high = found.range
    heat, texts = view.plot["data"][:2]
    for block, kind, ink in zip(texts["y"], texts["x"], texts["textfont"]["color"], strict=True):
        z = heat["z"][heat["y"].index(block)][heat["x"].index(kind)]
        assert style.contrast(ink, style.cividis((z - low) / (high - low))) >= 4.5
    assert view.caption in view.describe()
    assert "<table" in view.table_html()


def test_a_large_model_under_four_schemes_stays_small():
    kinds = ["self_attn." + k for k in "qkvo"] + ["mlp.gate", "mlp.up", "mlp.down"]
    rows = [
        {"scheme": scheme, "layer": f"model.layers.{i}.{kind}_proj", "isolated": -20.0 - i / 7,
         "accumulated": -10.0 - i / 7}
        for scheme in ("int4/g32", "int3/g32", "mxfp4", "nvfp4")
        for i in range(80) for kind in kinds
    ]  # fmt: skip
    view = sensitivity_map(Sensitivity.of(rows))
    assert view.payload() <= 500_000
    assert not any(t["text"] for t in view.plot["data"] if t["type"] == "scatter")


def test_nothing_measured_is_said():
    empty = Sensitivity.of([])
    assert sensitivity_map(empty).caption == "No layer was measured."
    assert sensitivity_map(empty).data() == []
    assert go.Figure(sensitivity_map(empty).plot)
    missing = Sensitivity.of([{"scheme": "int4", "layer": "layers.0.mlp.up_proj",
                               "isolated": None}])  # fmt: skip
    assert sensitivity_map(missing).caption == "No layer was measured."
    assert go.Figure(sensitivity_map(missing).plot)


def test_what_does_not_fit_is_refused():
    with pytest.raises(WorkbenchError, match="1 schemes, 2 blocks and 1 kinds"):
        Sensitivity(("int4",), ("0", "1"), ("q",), (("a",), ("b",)), np.zeros((1, 1, 1)))
    with pytest.raises(WorkbenchError, match="write 'high'"):
        Sensitivity.of([], worse="big")


def test_layers_of_one_block_with_one_last_name_have_cells_of_their_own():
    names = [
        f"encoder.layer.{i}.{kind}"
        for i in (0, 1)
        for kind in ("attention.output.dense", "intermediate.dense", "output.dense", "query")
    ]
    rows = [{"scheme": "int4", "layer": name, "isolated": float(i)} for i, name in enumerate(names)]
    found = Sensitivity.of(rows)
    assert set(found.kinds) == {"attention.output", "intermediate", "output", "query"}
    assert {name for line in found.names for name in line} == set(names)
