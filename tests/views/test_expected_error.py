"""The picture of expected error over tails shows its numbers and names the winners."""

from __future__ import annotations

import json
from itertools import pairwise

import plotly.graph_objects as go
import pytest

from workbench.metrics.densities import Gaussian, StudentT, Uniform
from workbench.metrics.expected import EIGHT_BITS
from workbench.views import style
from workbench.views.expected_error import ExpectedCurve, ExpectedErrors, expected_error


@pytest.fixture(scope="module")
def errors() -> ExpectedErrors:
    heavy = [StudentT(nu, limit=100.0) for nu in (3.0, 5.0, 8.0, 100.0)]
    return ExpectedErrors.of([*heavy, Gaussian(), Uniform()])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_figure_is_valid_small_and_plain(errors, theme):
    view = expected_error(errors, {"theme": theme})
    figure = go.Figure(view.plot)
    assert {trace.type for trace in figure.data} <= set(style.TRACES)
    assert view.payload() < 50_000
    json.dumps(view.plot, allow_nan=False)
    assert view.provenance == view.figure.layout.meta["provenance"] == "closed form"


def test_every_format_is_a_line_with_its_own_look(errors):
    lines = [t for t in expected_error(errors).plot["data"] if "scheme" in t["meta"]]
    assert [line["name"] for line in lines] == list(EIGHT_BITS)
    looks = {(t["line"]["color"], t["line"]["dash"], t["marker"]["symbol"]) for t in lines}
    assert len(looks) == len(lines)
    for line, curve in zip(lines, errors.curves, strict=True):
        assert [y for y in line["y"] if y is not None] == list(curve.sqnr)


def test_the_best_format_of_each_density_is_ringed(errors):
    rings = expected_error(errors).plot["data"][-1]
    assert rings["meta"]["winners"] == ["E3M4", "E3M4", "E2M5", "E2M5", "E2M5", "INT8"]
    assert rings["y"] == [max(c.sqnr[i] for c in errors.curves) for i in range(6)]
    assert rings["x"] == errors.places == sorted(errors.places)


def test_the_caption_says_who_wins_where(errors):
    assert expected_error(errors).caption == (
        "With lighter tails the least expected error passes from E3M4 (t(3)…t(5)) to E2M5 "
        "(t(8)…gaussian) to INT8 (uniform); E4M3 and E5M2 never have it."
    )


def test_the_caption_of_one_winner_and_of_none():
    curves = ExpectedCurve("a", "int", (2.0,), (1.0,)), ExpectedCurve("b", "float", (1.0,), (1.0,))
    one = ExpectedErrors(("gaussian",), (None,), curves)
    assert expected_error(one).caption == (
        "a has the least expected error on every density; b never has it."
    )
    empty = expected_error(ExpectedErrors(("gaussian",), (None,), ()))
    assert empty.caption == "No format is chosen."
    assert empty.data() == []
    assert go.Figure(empty.plot)


def test_the_table_holds_every_point(errors):
    rows = expected_error(errors).data()
    assert len(rows) == 6 * len(EIGHT_BITS)
    assert sum(row["least error"] for row in rows) == 6
    row = next(r for r in rows if (r["density"], r["format"]) == ("gaussian", "E2M5"))
    assert row["expected SQNR (dB)"] == pytest.approx(42.67, abs=0.01)
    assert row["best range"] == pytest.approx(4.35, abs=0.01)


def test_ticks_do_not_touch(errors):
    places = expected_error(errors).plot["layout"]["xaxis"]["tickvals"]
    assert all(b - a >= 0.3 for a, b in pairwise(places))
