"""The Panel page follows its explorer; what it takes from Panel's inside is still there."""

from __future__ import annotations

import base64
import json

import numpy as np
import panel as pn
import pytest

from workbench.apps import format_page, panel_speed
from workbench.apps.format_page import NAMES, FormatPage

LINK = "?source=synthetic%3Astudent_t3%2C8192%2C0&scheme=e4m3fn&scheme=int8"


@pytest.fixture
def page() -> FormatPage:
    page = FormatPage(LINK)
    page.explorer.wait(60)
    yield page
    page.stop()


def test_panel_still_has_what_the_speed_module_changes():
    assert isinstance(pn.reactive.Syncable._debounce, int)
    panel_speed.quicken()
    assert pn.reactive.Syncable._debounce == panel_speed.DEBOUNCE


def test_the_pane_sends_the_view_as_it_is(page):
    for card in page.cards.values():
        sent, drawn = json.loads(card.pane.view), card.view.plot
        assert sent["layout"].keys() == drawn["layout"].keys()
        for one, other in zip(sent["data"], drawn["data"], strict=True):
            assert one.keys() == other.keys()
            if isinstance(one["y"], dict):
                numbers = np.frombuffer(base64.b64decode(one["y"]["bdata"]), np.float32)
                assert numbers == pytest.approx(other["y"], rel=1e-6, nan_ok=True)
        assert (sent["caption"], sent["title"]) == (card.view.caption, card.view.title)


def test_a_control_changes_all_views(page):
    before = {name: page.cards[name].view for name in NAMES}
    page.controls.shift.value = 1.0
    assert page.explorer.shift == 1.0
    assert all(page.cards[name].view is not before[name] for name in NAMES)


def test_a_change_redraws_only_what_it_touches(page):
    before = {name: page.cards[name].view for name in NAMES}
    page.controls.sort.value = "index"
    changed = {name for name in NAMES if page.cards[name].view is not before[name]}
    assert changed == {"channel_fan"}


def test_a_malformed_scheme_is_said_beside_its_control(page):
    view = page.cards["value_grid"].view
    page.controls.schemes[1].value = "int99"
    assert "int99" in page.controls.scheme_problems[1].object
    assert page.controls.scheme_problems[1].visible
    assert page.cards["value_grid"].view is view
    page.controls.schemes[1].value = "int6"
    assert not page.controls.scheme_problems[1].visible
    assert page.explorer.schemes == ["e4m3fn", "int6/tensor"]


def test_brushing_and_clicking_select_in_every_view(page):
    axis = page.explorer.value_axis()
    places = [float(p) for p in axis.position([0.5, 2.0])]
    page.cards["value_grid"].pane._handle_msg({"brushed": places})
    assert page.explorer.selection == pytest.approx((0.5, 2.0))
    assert page.controls.low.value == pytest.approx(0.5)
    page.cards["value_grid"].pane._handle_msg({"clicked": {"x": places[0], "customdata": None}})
    assert page.explorer.probe == pytest.approx(0.5)
    hover = page.cards["channel_fan"].view.plot["data"]
    first = next(t["customdata"][0] for t in hover if t.get("name") == "channels")
    page.cards["channel_fan"].pane._handle_msg({"clicked": {"x": 0, "customdata": first}})
    assert page.explorer.channel == first[4]
    page.controls.clear.clicks += 1
    assert page.explorer.selection is page.explorer.channel is page.explorer.probe is None


def test_a_designed_float_goes_into_its_line(page):
    page.controls.slot.value = 1
    page.controls.mantissa.value = 2
    assert page.explorer.schemes == ["e4m3fn", "e4m2"]
    page.controls.exponent.value = 0
    page.controls.signed.value = False
    assert len(page.explorer.schemes) == 2


def test_a_malformed_link_is_said_and_the_page_opens():
    page = FormatPage("?scheme=int99")
    page.explorer.wait(60)
    assert "int99" in page.controls.headline.object
    assert page.explorer.schemes == format_page.FormatExplorer().schemes
    page.stop()


def test_the_table_twin_is_filled_when_it_is_opened(page):
    card = page.cards["error_by_cause"]
    assert card.table.object == ""
    card.twin.collapsed = False
    assert "<table" in card.table.object
    assert "rounding" in card._csv().read()


def test_every_control_has_a_label(page):
    widgets = page.controls.column.select(pn.widgets.base.WidgetBase)
    assert len(widgets) > 15
    assert all(widget.label for widget in widgets)


def test_every_kind_of_source_can_be_chosen(page):
    page.controls.name.value = "laplace"
    assert "laplace" in page.explorer.source
    page.controls.kind.value = "weight"
    assert page.explorer.source.startswith("weight:")
    page.controls.kind.value = "synthetic"
    assert page.explorer.source.startswith("synthetic:gaussian")
    page.controls.kind.value = "weight"
    page.controls.kind.value = "file"
    page.controls.path.value = "/nowhere/x.safetensors#w"
    assert "→" in page.controls.source_problem.object
    assert page.explorer.source.startswith("weight:")
