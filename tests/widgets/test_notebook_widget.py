"""The notebook host draws the explorer's views, follows it, and says refusals at the controls."""

from __future__ import annotations

import json

import pytest
from workbench.widgets import FormatExplorerWidget
from workbench.widgets.figure import FigureWidget, ViewBox, library

import workbench as wb
from workbench.views.browser import sent

SMALL = "synthetic:student_t3,8192,0"


@pytest.fixture
def widget() -> FormatExplorerWidget:
    widget = wb.explore(SMALL, ["e4m3fn", "int8/tensor"], host="notebook")
    widget.explorer.wait(60)
    yield widget
    widget.explorer.cancel()
    widget.close_all()


def _shown(box: ViewBox) -> list[dict]:
    return json.loads(box.figure.view)["data"]


def _same_as(box: ViewBox, view) -> bool:
    """Whether the figure in the cell is exactly the view's."""
    return box.figure.view == sent(view)


def test_the_widget_shows_the_views_of_its_explorer(widget):
    for name, view in widget.explorer.figures().items():
        assert _same_as(widget.boxes[name], view)


def test_the_slider_redraws_in_place(widget):
    widget.shift.value = 1.0
    assert widget.explorer.shift == 1.0
    for name, view in widget.explorer.figures().items():
        assert _same_as(widget.boxes[name], view)


def test_plotly_travels_once_and_again_when_a_page_asks():
    first, second = FigureWidget(), FigureWidget()
    assert second.library == ""
    assert len(library()) > 1_000_000
    second._message(second, {"need": "plotly"}, [])
    assert second.library == library()
    first.close()
    second.close()


def test_a_malformed_scheme_is_said_and_the_picture_stays(widget):
    before = _shown(widget.boxes["metrics_table"])
    widget.schemes[0].value = "int99"
    assert "int99" in widget.problem.value
    assert widget.explorer.schemes == ["e4m3fn", "int8/tensor"]
    assert len(_shown(widget.boxes["metrics_table"])) == len(before)
    widget.schemes[0].value = "int6"
    assert widget.problem.value == ""
    assert widget.explorer.schemes == ["int6/tensor", "int8/tensor"]


@pytest.mark.parametrize(("text", "chosen"), [("-0.5, 0.5", (-0.5, 0.5)), ("", None)])
def test_a_range_can_be_typed(widget, text, chosen):
    widget.range.value = "-1, 1"
    widget.range.value = text
    assert widget.explorer.selection == chosen


@pytest.mark.parametrize("text", ["a, b", "1", "1, 1", "nan, 2"])
def test_a_malformed_range_is_said(widget, text):
    widget.range.value = text
    assert "→" in widget.problem.value
    assert widget.explorer.selection is None


def test_a_brushed_range_filters_the_errors(widget):
    places = widget.explorer.value_axis().position([0.5, 2.0])
    widget.boxes["value_grid"].figure._message(None, {"brushed": [float(p) for p in places]}, [])
    assert widget.explorer.selection == pytest.approx((0.5, 2.0))
    assert "among values" in widget.boxes["error_by_cause"].view.caption


def test_code_that_changes_the_explorer_moves_the_controls(widget):
    widget.explorer.set(shift=0.5, rounding="up", channel=3)
    assert (widget.shift.value, widget.rounding.value, widget.channel.value) == (0.5, "up", "3")


def test_the_table_is_filled_when_it_is_opened(widget):
    box = widget.boxes["value_grid"]
    assert box.table.value == ""
    box.twin.selected_index = 0
    assert "<table" in box.table.value


def test_readers_without_a_kernel_get_a_table(widget):
    bundle = widget._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "SQNR (dB)" in data["text/html"]


def test_a_kernel_draws_exact_numbers_in_its_own_thread(monkeypatch):
    import workbench.widgets.format_explorer as host

    asked = []
    loop = type("Loop", (), {"add_callback": staticmethod(asked.append)})
    monkeypatch.setattr(host, "running_kernel", lambda: type("Kernel", (), {"io_loop": loop}))
    widget = wb.explore(SMALL, ["e4m3fn"], host="notebook")
    assert widget.explorer.wait(60)
    figure = widget.boxes["value_grid"].figure
    assert json.loads(figure.view)["provenance"] == "sketch"  # not drawn from the other thread
    (draw,) = asked
    draw()
    assert json.loads(figure.view)["provenance"] == "exact"
    widget.close_all()
