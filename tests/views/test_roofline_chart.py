"""The roofline shows what the model of costs says: roofs, marks, where they came from, in words."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from workbench.costs import Operands, Workload, architecture, hardware, roofline
from workbench.views.roofline_chart import Measured, parts_of, roofline_chart

LLAMA, A6000 = architecture("llama-2-7b"), hardware("rtx-a6000")
DECODE = Workload("decode")


@pytest.fixture(scope="module")
def steps():
    return tuple(roofline(LLAMA, DECODE, A6000, Operands(scheme)) for scheme in ("", "int4/g128"))


def trace(view, name):
    return next(one for one in view.plot["data"] if one["name"] == name)


def test_marks_are_the_parts_of_the_step(steps):
    _, narrow = steps
    view = roofline_chart(narrow)
    marks, parts = trace(view, "predicted"), parts_of(narrow)
    assert marks["x"] == [part.intensity for part in parts]
    assert sum(part.seconds for part in parts) == pytest.approx(narrow.time, rel=1e-3)
    assert all(symbol.endswith("open") for symbol in marks["marker"]["symbol"])
    areas = (np.array(marks["marker"]["size"]) - 7) ** 2
    shares = [part.seconds / narrow.time for part in parts]
    assert areas / areas.sum() == pytest.approx(np.array(shares) / sum(shares))


def test_each_roof_is_a_peak_or_a_bandwidth(steps):
    view = roofline_chart(steps[0])
    level = trace(view, "float16, bfloat16 peak")
    assert level["y"] == [154.8e12] * 2
    assert level["x"][0] == pytest.approx(201.6, abs=0.1)
    slope = trace(view, "GDDR6")
    assert slope["y"][0] / slope["x"][0] == pytest.approx(768e9)
    assert "white paper, 2021-02" in slope["hovertemplate"]
    names = {one["name"] for one in view.plot["data"]}
    assert "host over PCIe 4" not in names
    assert trace(view, "int8 peak")["line"]["dash"] == "dot"  # nothing runs on it


def test_lines_lead_from_where_each_part_was(steps):
    wide, narrow = steps
    ways = trace(roofline_chart(narrow, wide), "in plain formats")
    moved = [new / old for old, new in zip(ways["x"][::3], ways["x"][1::3], strict=True)]
    assert max(moved) == pytest.approx(16 / 4.25, rel=0.01)
    assert min(moved) == 1  # norms and the head stay


def test_what_was_measured_is_filled_and_has_its_noise(steps):
    ran = Measured("W4 product", 3.5, 2e12, 1.8e12, 2.1e12, "this machine")
    view = roofline_chart(steps[1], measured=[ran])
    mark = trace(view, "measured")
    assert mark["marker"]["symbol"] == "circle"
    assert mark["error_y"]["array"] == [pytest.approx(1e11)]
    assert mark["error_y"]["arrayminus"] == [pytest.approx(2e11)]
    assert view.data()[-1]["provenance"] == "measured on this machine"


def test_a_trail_goes_through_its_steps(steps):
    along = [(f"batch {n}", roofline(LLAMA, Workload("decode", n), A6000)) for n in (1, 4, 16)]
    trail = trace(roofline_chart(steps[0], trail=along), "trail of mlp.up_proj")
    assert trail["customdata"] == ["batch 1", "batch 4", "batch 16"]
    assert trail["x"][2] / trail["x"][0] == pytest.approx(16, rel=0.02)


def test_weights_behind_the_link_are_said(steps):
    step = roofline(architecture("llama-2-70b"), DECODE, hardware("rtx-4090"), Operands("int4"))
    view = roofline_chart(step)
    assert "of the weights come over the link" in view.caption
    assert trace(view, "host over PCIe 4")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_plotly_takes_it_and_it_is_small(steps, theme):
    view = roofline_chart(steps[1], steps[0], spec={"theme": theme}, chosen="lm_head")
    go.Figure(view.plot)
    assert view.payload() < 60_000
    json.dumps(view.data())
    assert view.csv().count("\n") == len(parts_of(steps[1])) + 1
    assert "predicted" in view.describe()
