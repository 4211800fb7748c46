"""The view of recipes on one layer, and the picture that is not there yet."""

from __future__ import annotations

import pytest

from workbench.views.blank import blank
from workbench.views.what_helps import Variant, what_helps

ROWS = [
    Variant("as it is", "w=int4", 12.0, 4.0, 0.01, (0.01, 0.008, 0.013)),
    Variant("smooth", "smooth w=int4", 15.5, 4.0, 0.02, (0.002, 0.0, 0.003), chosen=True),
    Variant("hadamard", "hadamard w=int4", -3.0, 4.0, None, None),
    Variant("orthogonal", "orthogonal w=int4", float("nan"), float("nan"), refused="x" * 99),
]


@pytest.fixture
def view():
    return what_helps(ROWS, "layers.3.mlp.down_proj", spec={"theme": "dark"})


def test_each_recipe_is_a_mark_in_three_panels(view):
    errors, shares, costs = view.plot["data"]
    assert errors["x"] == [12.0, 15.5, -3.0, None]
    assert errors["text"][2] == " −3"
    assert shares["x"] == [0.01, 0.02, None, None]
    assert costs["x"] == [0.01, 0.002, None, None]
    assert costs["error_x"]["array"][:2] == pytest.approx([0.003, 0.001])
    assert costs["error_x"]["arrayminus"][1] < 0.002  # a log axis has no zero
    assert errors["marker"]["symbol"] == ["circle-open", "circle", "circle-open", "circle-open"]


def test_what_is_missing_says_so(view):
    texts = [note["text"] for note in view.plot["layout"]["annotations"]]
    assert texts == ["no volume", "being measured", "x" * 69 + "…"]


def test_every_mark_lies_inside_its_axis(view):
    import numpy as np

    layout = view.plot["layout"]
    low, high = layout["xaxis"]["range"]
    assert low < -3
    assert high > 15.5
    for axis, values in (("xaxis2", [0.01, 0.02]), ("xaxis3", [0.013, 0.002])):
        low, high = layout[axis]["range"]
        assert all(low < np.log10(value) < high for value in values)
        assert len(layout[axis]["tickvals"]) >= 2


def test_the_caption_compares_the_chosen_with_the_first(view):
    assert view.caption == (
        "smooth gives layers.3.mlp.down_proj 15.5 dB, 3.5 dB more than as it is; the model loses "
        "0.002 nats a token for 0.01."
    )
    assert what_helps([], "x").caption == "Nothing was measured yet."
    assert what_helps(ROWS[:1], "x").caption == "x has 12.0 dB as it is; the model loses 0.01 " \
        "nats a token."  # fmt: skip


def test_the_table_has_every_figure(view):
    rows = view.data()
    assert rows[1]["KL to float (nats a token)"] == 0.002
    assert rows[3]["refused"] == "x" * 99
    assert rows[3]["SQNR of the outputs (dB)"] is None


def test_a_blank_says_why_and_keeps_the_height():
    view = blank("qsur_view", "Use", "There is no volume.", height=333)
    assert view.plot["layout"]["height"] == 333
    assert view.provenance == "nothing to show"
    assert view.data() == []
    assert "There is no volume." in view.describe()
    assert blank("a", "b").provenance == "being computed"
