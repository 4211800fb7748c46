"""The designer's state is plain and says what cannot be; its numbers are the metrics' own."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest

import workbench as wb
from workbench.costs import gates
from workbench.explorers.designer_parts import label_of
from workbench.explorers.format_designer import FormatDesigner

SMALL = "synthetic:student_t3,65536,0"


@pytest.fixture
def designer(tensor) -> FormatDesigner:
    return FormatDesigner.of(tensor, schemes=["nf4/g32", "int4/g32"])


DESIGNS = {
    "e4m3fn/g32": {"exponent": 4, "mantissa": 3},
    "e3m2(bias=5,nosub)/g32": {"exponent": 3, "mantissa": 2, "bias_shift": 2, "subnormals": False},
    "ue4m3fn/g16*e4m3fn": {
        "exponent": 4, "mantissa": 3, "signed": False, "granularity": "/g16*e4m3fn",
    },
    "e5m2fnuz/channel": {"exponent": 5, "mantissa": 2, "top": "fnuz", "granularity": "channel"},
    "e4m3fn": {"exponent": 4, "mantissa": 3, "granularity": ""},
    "int5/g64+zp": {"kind": "integer", "width": 5, "granularity": "g64+zp"},
    "uint3/tensor": {"kind": "integer", "width": 3, "signed": False, "granularity": "tensor"},
    "codebook(-1,0,0.5,1)/g32": {"kind": "codebook", "values": "0.5, 1 -1, 0"},
}  # fmt: skip


@pytest.mark.parametrize("text", DESIGNS)
def test_the_spec_text_of_a_design_works_everywhere(designer, text, tensor):
    assert designer.set(**DESIGNS[text]) == ""
    assert designer.spec_text == text == str(wb.scheme(text))
    row = designer.rows()[0]
    exact = wb.metrics.error(tensor, text).sqnr
    assert row["SQNR (dB)"] == pytest.approx(exact, abs=0.01)
    assert row["gates"] == round(gates(wb.scheme(text).format).total)
    assert row["gates from"] == "estimate: gate model"


@pytest.mark.parametrize("text", DESIGNS)
def test_state_is_json_and_a_link_brings_it_back(designer, text):
    designer.set(**DESIGNS[text], theme="dark", axis="symlog2")
    json.dumps(designer.state)
    assert FormatDesigner.from_link(designer.link()).state == designer.state


def test_a_design_may_stand_alone(designer):
    designer.set(schemes=[])
    assert FormatDesigner.from_link(designer.link()).schemes == []
    assert len(designer.rows()) == 1
    assert "beside none" in designer.describe()


def test_the_default_state_has_an_empty_link():
    assert FormatDesigner().link() == ""


@pytest.mark.parametrize(
    "change",
    [
        {"exponent": 9},
        {"exponent": 0, "mantissa": 0},
        {"exponent": 8, "mantissa": 10},
        {"kind": "posit"},
        {"width": "many"},
        {"signed": "perhaps"},
        {"values": "1"},
        {"values": "1, 1"},
        {"values": "0, x"},
        {"values": [0, float("nan")]},
        {"values": "-inf, 0, 1"},
        {"top": "fn", "exponent": 1, "mantissa": 0},
        {"top": "ieee", "exponent": 1, "subnormals": False},
        {"values": None},
        {"values": list(range(257))},
        {"granularity": "g0"},
        {"granularity": "rows"},
        {"kind": "codebook", "granularity": "g32+zp"},
        {"top": "fnuz", "signed": False},
        {"schemes": ["int8", "int4", "nf4"]},
        {"schemes": ["bitmod4/g32"]},
        {"schemes": "int8"},
        {"schemes": ["int99"]},
        {"source": "weight:nothing"},
        {"theme": "green"},
        {"colour": 1},
    ],
)
def test_a_change_that_cannot_be_is_said_and_the_state_stays(designer, change):
    before = designer.state
    refusal = designer.set(**change)
    assert refusal.count("→") >= 2
    assert designer.problem == refusal
    assert designer.state == before
    assert designer.set(width=5) == designer.problem == ""


@pytest.mark.parametrize("link", ["?width=x", "?kind=posit", "?colour=1", "?values=", "?scheme=x"])
def test_a_link_that_cannot_be_is_said(designer, link):
    before = designer.state
    assert designer.follow(link).count("→") >= 2
    assert designer.state == before


@pytest.mark.parametrize(
    "granularity", ["tensor", "channel", "g32", "g64*f16", "g16*e4m3fn", "g32*e8m0", "tensor@std"]
)
def test_suggestions_beat_the_usual_codebooks_and_floats(designer, tensor, granularity):
    designer.set(granularity=granularity)
    found = designer.suggestions()
    usual = max(
        wb.metrics.error(tensor, f"{f}/{granularity}").sqnr for f in ("nf4", "e2m1", "int4")
    )
    for state in found.values():
        assert designer.set(**state) == ""
        assert len(designer.values) == 16
        assert wb.metrics.error(tensor, designer.spec_text).sqnr > usual
    best, alternated = (
        wb.metrics.error(tensor, FormatDesigner(**found[name]).spec_text).mse
        for name in ("best", "lloyd_max")
    )
    assert best <= 1.01 * alternated


def test_a_large_design_has_no_suggestion(designer):
    designer.set(exponent=4, mantissa=3)
    before = designer.state
    assert "1 to 6 bits" in designer.suggest("best")
    assert designer.suggest("worst").count("→") == 2
    assert designer.state == before


def test_a_codebook_is_drawn_by_hand(designer):
    designer.set(kind="codebook", values=[-1, 0, 1], granularity="tensor")
    assert designer.add_value(0.25) == designer.move_value(1, -0.125) == ""
    assert designer.values == [-1.0, -0.125, 0.25, 1.0]
    assert designer.remove_value(designer.nearest_value(0.3)) == ""
    assert designer.spec_text == "codebook(-1,-0.125,1)/tensor"
    assert "twice" in designer.add_value(1.0)
    assert designer.remove_value(9).count("→") == 2


def test_a_place_in_the_grid_is_a_value_in_the_units_of_the_design(designer, tensor):
    designer.set(kind="codebook", values=[-1, 0, 1], granularity="tensor")
    largest = float(np.abs(tensor).max())
    assert designer.unit_of(0.5 * largest) == pytest.approx(0.5, abs=2**-6)
    assert designer.unit_of(7 * largest) == 1.0
    axis = designer.value_axis()
    assert float(axis.value(axis.position(0.25))) == pytest.approx(0.25)


def test_pictures_hold_the_design_and_what_stands_beside_it(designer):
    designer.suggest("best")
    views = designer.figures()
    assert list(views) == ["value_grid", "metrics_table"]
    assert [row["scheme"] for row in views["metrics_table"].data()] == [
        "yours: codebook of 16/g32", "nf4/g32", "int4/g32",
    ]  # fmt: skip
    assert designer.rows()[0]["scheme"] == designer.spec_text
    labels = {row["scheme"] for row in views["value_grid"].data()}
    assert labels == {"yours: codebook of 16/g32", "nf4/g32", "int4/g32"}
    assert label_of(designer.spec) == "codebook of 16/g32"
    assert designer.rows()[0]["unused"] == 0


def test_what_the_gate_model_does_not_know_is_left_open(designer):
    designer.set(schemes=["posit8"])
    assert designer.rows()[1]["gates"] is None


@pytest.mark.parametrize("of_array", [False, True])
def test_the_code_redoes_it(tensor, of_array):
    designer = FormatDesigner.of(tensor) if of_array else FormatDesigner(source=SMALL)
    designer.set(kind="integer", width=3)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(designer.code(), {"x": tensor})
    assert out.getvalue().splitlines() == [str(row) for row in designer.rows()]
