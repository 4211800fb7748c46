"""The method matrix and the list of methods show every figure, and in words the best."""

from __future__ import annotations

import json

import plotly.graph_objects as go
import pytest

from workbench.studies.crossing import Cell, Crossing
from workbench.views.crossing_map import REFUSED, WAITING, crossing_map
from workbench.views.published_methods import published_methods

PAIRS = Crossing("w=int4/channel a=int8/token", ("", "smooth", "hadamard"), ("nearest", "gptq"))


def cell(transform: str, solver: str, value: float) -> Cell:
    recipe = str(PAIRS.recipe(transform, solver))
    return Cell(transform, solver, recipe, value, 0.9 * value, 1.1 * value, 4.1, 0.5)


@pytest.fixture
def cells():
    known = [
        cell("", "nearest", 0.04), cell("smooth", "nearest", 0.02), cell("", "gptq", 0.01),
        cell("smooth", "gptq", 0.005),
    ]  # fmt: skip
    refused = Cell("hadamard", "nearest", "hadamard w=int4", refused="3 channels → no → sort")
    return [*known, refused]


def test_every_cell_has_its_figure_its_methods_or_its_reason(cells):
    view = crossing_map(PAIRS, cells, "error", "of their square", chosen=("smooth", "gptq"))
    heat, texts = view.plot["data"]
    said = dict(zip(zip(texts["y"], texts["x"], strict=True), texts["text"], strict=True))
    assert said["smooth", "gptq"].startswith("<b>0.005</b><br>")
    assert "minifloat PTQ" in said["smooth", "gptq"]
    assert "GPTQ" in said["as it is", "gptq"]
    assert said["hadamard", "nearest"] == REFUSED
    assert said["hadamard", "gptq"] == WAITING
    assert heat["z"][2] == [None, None]
    assert heat["z"][0][0] > heat["z"][1][1]
    assert "3 channels → no → sort" in heat["customdata"][2][0][3]
    assert heat["customdata"][1][1][:2] == ["smooth", "gptq"]
    frame = view.plot["layout"]["shapes"][0]
    assert (frame["x0"], frame["y0"]) == (0.5, 0.5)
    assert "gptq behind smooth" in view.caption
    assert "0.12 of rounding" in view.caption
    assert "refused with a reason: 1" in view.caption
    assert "still to come: 1 of 6" in view.caption
    go.Figure(view.plot)
    assert view.payload() < 200_000
    assert len(view.data()) == 5


def test_nothing_measured_is_said_and_drawn(cells):
    view = crossing_map(PAIRS, [], "error")
    assert view.caption == "Nothing was measured yet."
    go.Figure(view.plot)
    json.dumps(view.data())


def test_methods_are_in_order_with_intervals_and_bits(cells):
    methods = [(f"method {number}", one) for number, one in enumerate(cells)]
    view = published_methods(methods, "error", chosen=cells[2].recipe)
    values, bits = view.plot["data"]
    assert values["y"] == ["method 3", "method 2", "method 1", "method 0"]
    assert values["x"] == [0.005, 0.01, 0.02, 0.04]
    assert bits["x"] == [4.1] * 4
    assert values["marker"]["symbol"][1] == "circle"
    assert values["marker"]["symbol"][0] != "circle"
    assert values["error_x"]["array"][1] == pytest.approx(0.001)
    note = view.plot["layout"]["annotations"][0]
    assert note["y"] == "method 4"
    assert "3 channels" in note["text"]
    assert view.caption.startswith("Of 4 methods method 3 has the least error")
    go.Figure(view.plot)
    assert published_methods([], "error").caption == "Nothing was measured yet."
