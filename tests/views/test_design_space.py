"""The picture of minifloats and integers shows both, over bits and over gates."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from workbench.errors import WorkbenchError
from workbench.quantizers import Calibration, Layer
from workbench.studies import design_space as studies
from workbench.views import design_space, style

SOLVERS = ("nearest", "gptq")


@pytest.fixture(scope="module")
def designs():
    random = np.random.default_rng(0)
    mixing = np.eye(256) + random.standard_normal((256, 256)) / 16
    x = random.standard_normal((512, 256)) @ mixing
    layer = Layer(random.standard_normal((16, 256)).astype(np.float32))
    known, apart = Calibration.of(x[:384]), Calibration.of(x[384:])
    return studies.design_space(layer, known, apart, solvers=SOLVERS)


def lines(view, axis):
    return [t for t in view.plot["data"] if t["meta"].get("curve") and t["meta"]["axis"] == axis]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_figure_is_valid_small_and_plain(designs, theme):
    view = design_space(designs, provenance="128 rows of 256 inputs", spec={"theme": theme})
    figure = go.Figure(view.plot)
    assert {trace.type for trace in figure.data} <= set(style.TRACES)
    assert view.payload() < 60_000
    json.dumps(view.plot, allow_nan=False)
    assert view.figure.layout.meta["provenance"] == "128 rows of 256 inputs"
    assert figure.layout.xaxis2.type == "log"


@pytest.mark.parametrize("axis", ["bits", "gates"])
def test_integers_and_every_exponent_are_a_curve_with_its_look(designs, axis):
    found = lines(design_space(designs), axis)
    assert [line["name"] for line in found] == ["INT", "E1", "E2", "E3", "E4", "E5…"]
    looks = {(t["marker"]["color"], t["line"]["dash"], t["marker"]["symbol"]) for t in found}
    assert len(looks) == len(found)
    assert found[0]["marker"]["symbol"] == "square"
    assert all("circle" in line["marker"]["symbol"] for line in found[1:])


def test_every_design_of_the_solver_is_a_point_on_both_axes(designs):
    for solver in SOLVERS:
        mine = [one for one in designs if one.solver == solver]
        for axis in ("bits", "gates"):
            drawn = {
                (about[0], x, y)
                for line in lines(design_space(designs, solver), axis)
                for about, x, y in zip(line["customdata"], line["x"], line["y"], strict=True)
            }
            assert drawn == {(one.label, getattr(one, axis), one.sqnr) for one in mine}


def test_integers_of_every_width_are_in_the_picture(designs):
    assert lines(design_space(designs), "bits")[0]["x"] == [3, 4, 5, 6, 7, 8]


def test_the_best_are_ringed_on_each_axis(designs):
    mine = [one for one in designs if one.solver == "nearest"]
    for trace in design_space(designs).plot["data"][-2:]:
        axis = trace["meta"]["axis"]
        points = {(getattr(one, axis), one.error) for one in mine}
        unbeaten = {p for p in points if not any(
            q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)}  # fmt: skip
        best = [one for one in mine if one.label in trace["meta"]["best"]]
        assert {(getattr(one, axis), one.error) for one in best} == unbeaten
        assert trace["y"] == sorted(trace["y"])
        assert set(filter(None, trace["text"])) <= set(trace["meta"]["best"])


def test_the_caption_counts_both_axes(designs):
    view = design_space(designs)
    assert view.caption.startswith("Of as many bits E2 is best at ")
    front = view.plot["data"][-1]["meta"]["best"]
    even = sum(label.startswith(("INT", "E1")) for label in front)
    assert f"of as many gates {even} of the {len(front)} best have even steps" in view.caption


def test_the_table_holds_every_solver(designs):
    rows = design_space(designs).data()
    assert len(rows) == len(designs)
    assert {row["solver"] for row in rows} == set(SOLVERS)
    row = next(r for r in rows if (r["name"], r["solver"]) == ("INT8", "gptq"))
    assert (row["bits"], row["gates (model)"]) == (8, 504)


def test_floats_alone_are_refused(designs):
    floats = [one for one in designs if one.family == "float"]
    with pytest.raises(WorkbenchError, match="without integers nothing tells"):
        design_space(floats)
    with pytest.raises(WorkbenchError, match="no solver of these designs has this name"):
        design_space(designs, "gptqq")


def test_nothing_measured_and_nothing_lost_are_drawn():
    empty = design_space([])
    assert empty.caption == "No design was measured."
    assert go.Figure(empty.plot)
    exact = studies.Design("INT8", "int8", "int", 8, 0, "nearest", 0.0, 504)
    view = design_space([exact, studies.Design("E2M5", "e2m5", "float", 8, 2, "nearest", 0.1, 505)])
    json.dumps(view.plot, allow_nan=False)
    assert view.caption.startswith("Of as many bits INT is best at 1 of 1 widths;")
