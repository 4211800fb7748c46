"""The model explorer: from the model over a layer to one value, the same numbers as by hand."""

from __future__ import annotations

import numpy as np
import pytest

from workbench import models
from workbench.errors import WorkbenchError
from workbench.explorers import ModelExplorer
from workbench.explorers import opened_model as opening
from workbench.metrics.qsur import qsur_of
from workbench.quantizers import Recipe
from workbench.schemes.report import decibels

TWIN, DOWN = "reference-twin", "layers.3.mlp.down_proj"
RECIPE = "w=int4/g32 a=int8/token"


@pytest.fixture(scope="module")
def explorer():
    return ModelExplorer(model=TWIN, recipe=RECIPE)


@pytest.fixture
def fresh():
    return ModelExplorer(model=TWIN, recipe=RECIPE)


def test_it_opens_on_the_layer_with_the_largest_input(explorer):
    largest = max((one for one in explorer.opened.outliers if one.place == "input"),
                  key=lambda one: one.largest)  # fmt: skip
    assert explorer.chosen_layer == largest.name == DOWN
    caption = explorer.figures(["outlier_map"])["outlier_map"].caption
    assert caption.startswith("4 of 512 channels (475, 272")


def test_the_rows_it_shows_are_the_inputs_in_the_order_of_the_text(explorer):
    model, rows = explorer.opened, explorer.opened.calibration(DOWN).rows
    seen: list[np.ndarray] = []
    handle = model.model.linears()[DOWN].register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0][0].numpy())
    )
    for window in model.ids[:256].split(opening.WINDOW):
        model.model.run(window[None])
    handle.remove()
    assert np.allclose(np.concatenate(seen), rows[:256], rtol=1e-4, atol=1e-4)
    assert model.token(opening.WINDOW + 3) == (3, model.model.decode(model.ids[131:132]))


def test_every_recipe_has_the_figures_that_it_has_by_hand(fresh):
    fresh.set(transform="hadamard", channels=(475, 272))
    rows = {row["what"]: row for row in fresh.rows()}
    assert list(rows) == [
        "as it is", "channels 272, 475 in 16 bits", "smooth", "hadamard", "smooth, hadamard",
        "orthogonal",
    ]  # fmt: skip
    model = fresh.opened
    layer, known = model.layer(DOWN), model.calibration(DOWN)
    for row in rows.values():
        made = Recipe.parse(row["recipe"]).apply(layer, known)
        by_hand = decibels(1.0, made.error(layer, known))
        assert row["SQNR of the outputs (dB)"] == pytest.approx(by_hand, abs=1e-3)
        assert row["from"] <= row["KL to float (nats a token)"] <= row["to"]
    sizes = {what: row["SQNR of the outputs (dB)"] for what, row in rows.items()}
    assert sizes["channels 272, 475 in 16 bits"] > sizes["as it is"] + 1
    assert sizes["smooth, hadamard"] > sizes["as it is"] > sizes["hadamard"]
    filled = rows["as it is"]["share of its range a channel fills"]
    assert filled == pytest.approx(qsur_of(known.rows).per_channel, rel=1e-3)


def test_the_map_is_filled_in_the_background_and_then_stays(fresh):
    told: list[tuple[str, ...]] = []
    assert fresh.figures(["sensitivity_map"])["sensitivity_map"].provenance == "being computed"
    fresh.refine(told.append)
    assert fresh.wait(120)
    names = {name for names in told for name in names}
    assert names == {"sensitivity_map", "what_helps", "qsur_view"}
    view = fresh.figures(["sensitivity_map"])["sensitivity_map"]
    assert view.provenance == "measured on 2,048 tokens in windows of 128"
    rows = view.data()
    assert len(rows) == 28
    mine = next(row for row in rows if row["layer"] == DOWN)
    alone = fresh.rows()[0]["SQNR of the outputs (dB)"]
    assert mine["SQNR (dB), only this layer quantized"] == pytest.approx(alone, abs=1e-3)


def test_losses_of_layers_are_those_of_the_model(fresh):
    fresh.set(figure="loss", layer="layers.0.self_attn.q_proj")
    fresh.refine(lambda names: None)
    assert fresh.wait(120)
    rows = fresh.figures(["sensitivity_map"])["sensitivity_map"].data()
    first = rows[0]
    assert first["layer"] == fresh.layer
    values = list(first.values())[4:]
    assert values[0] == values[1] == fresh.rows()[0]["KL to float (nats a token)"]


def test_a_brush_chooses_channels_and_a_click_a_value(fresh):
    assert fresh.brush(-0.4, 1.3) == ""
    assert fresh.channels == (272, 475)
    assert fresh.look("0–23", "475") == ""
    row, channel = fresh.place
    values = fresh.opened.calibration(DOWN).rows[:, 475]
    assert channel == 475
    assert abs(values[row]) == np.abs(values[:24]).max()
    value = fresh.value
    assert value.value == values[row]
    made = Recipe.parse(RECIPE).apply(fresh.opened.layer(DOWN), fresh.opened.calibration(DOWN))
    assert value.rounded == made.rounded(fresh.opened.calibration(DOWN).rows)[row, 475]
    assert f"token {row}" in value.describe()
    assert "int8/token" in value.describe()
    assert value.link.startswith("?code=0x")


def test_a_weight_is_looked_at_too(fresh):
    fresh.set(what="weights", place=(3, 475))
    made = Recipe.parse(RECIPE).apply(fresh.opened.layer(DOWN), fresh.opened.calibration(DOWN))
    assert fresh.value.rounded == made.matrix[3, 475]
    assert fresh.value.where == "output 3"
    assert "output" in fresh.figures(["outlier_map"])["outlier_map"].title


def test_a_transform_shows_both_fans_and_its_way(fresh):
    fresh.set(transform="smooth")
    fresh.rows()
    views = fresh.figures()
    assert views["channel_fan"].name == "fan_pair"
    assert "After the smoothing" in views["qsur_view"].caption
    fresh.set(part=0.0)
    assert "Before the smoothing" in fresh.figures(["qsur_view"])["qsur_view"].caption


def test_inputs_without_a_volume_say_so(fresh):
    fresh.set(layer="layers.0.self_attn.q_proj")
    fresh.rows()
    view = fresh.figures(["qsur_view"])["qsur_view"]
    assert view.provenance == "nothing to show"
    assert "have no volume" in view.caption


def test_another_layer_forgets_channels_and_value_and_a_link_brings_them_back(fresh):
    fresh.set(channels=(1, 2), place=(0, 1), transform="hadamard", part=0.5)
    again = ModelExplorer.from_link(fresh.link())
    assert again.state == fresh.state
    fresh.set(layer="layers.0.mlp.up_proj")
    assert fresh.channels == ()
    assert fresh.place == ()
    assert fresh.transform == "hadamard"


REFUSED = [
    ({"recipe": "smooth w=int8"}, "has no transforms"),
    ({"recipe": "float"}, "leaves every layer in float"),
    ({"recipe": "w=int99"}, "1 to 16 bits"),
    ({"model": "nosuch"}, "nosuch"),
    ({"layer": "layers.9.mlp.up_proj"}, "layers."),
    ({"channels": (512,)}, "512 input channels"),
    ({"place": (0, 512)}, "at most"),
    ({"place": (1,)}, "a row and a channel"),
    ({"transform": "turn"}, "transform"),
    ({"part": 2}, "at most 1"),
]


@pytest.mark.parametrize(("change", "why"), REFUSED)
def test_what_cannot_be_is_refused_and_nothing_changes(explorer, change, why):
    before = explorer.state
    assert why in explorer.set(**change)
    assert explorer.state == before
    explorer.set()


def test_a_link_to_a_layer_that_is_not_there_opens_the_model_and_says_so():
    explorer = ModelExplorer(model=TWIN, layer="layers.7.mlp.up_proj")
    assert explorer.chosen_layer == DOWN
    assert "layers.7.mlp.up_proj" in explorer.problem


def test_a_model_that_does_not_run_is_refused_and_opens_no_less_later(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "x.safetensors"
    save_file({"a.weight": np.ones((4, 4), np.float32)}, path)
    explorer = ModelExplorer(model=str(path))
    with pytest.raises(WorkbenchError):
        explorer.open()
    assert explorer.set(model=TWIN) == ""
    assert explorer.open().name == TWIN


def test_code_and_words_say_what_is_seen(explorer):
    assert f"wb.quantize({TWIN!r}" in explorer.code()
    assert DOWN in explorer.describe()


def test_a_recipe_that_a_layer_refuses_is_a_row_with_its_reason(fresh):
    fresh.set(recipe="w=int8/channel kept_columns(300)", layer="layers.0.mlp.up_proj")
    rows = fresh.rows()
    assert all("256 input channels" in row["refused"] for row in rows)
    assert "refuses the recipe" in fresh.figures(["what_helps"])["what_helps"].caption


def test_an_encoder_has_cosines():
    from workbench.explorers.opened_model import opened

    known = {row["name"]: row for row in models.available()}
    if known["minilm"]["state"].startswith("not"):
        pytest.skip("minilm is not fetched: workbench models get minilm")
    model = opened("minilm")
    assert model.damage.figure == "1 − cosine to float"
    explorer = ModelExplorer(model="minilm", recipe="w=int4/g32")
    assert 0 < explorer.rows()[0]["1 − cosine to float"] < 0.1
