"""The notebook host of the format designer shows its state, follows it, and says refusals."""

from __future__ import annotations

import pytest
from workbench.widgets import FormatDesignerWidget

import workbench as wb
from workbench.explorers.designer_parts import clickable
from workbench.explorers.designer_words import LABELS
from workbench.explorers.format_designer import FormatDesigner
from workbench.views.browser import sent

SMALL = "synthetic:student_t3,8192,0"


@pytest.fixture
def widget() -> FormatDesignerWidget:
    widget = wb.design(SMALL, host="notebook")
    yield widget
    widget.close_all()


def test_the_widget_shows_the_views_and_words_of_its_designer(widget):
    designer = widget.designer
    views = designer.figures()
    grid = clickable(views["value_grid"], designer.value_axis())
    assert widget.boxes["value_grid"].figure.view == sent(grid)
    assert widget.boxes["metrics_table"].figure.view == sent(views["metrics_table"])
    assert "<table" in widget.boxes["metrics_table"].table.value
    assert widget.spec.text == designer.spec_text == "e2m1/g32"
    assert '<b data-figure="gates a multiply-add">261</b>' in widget.headline.value
    assert "FormatDesigner(source=" in widget.code.value


def test_every_part_of_the_state_has_a_control_with_a_name(widget):
    assert widget.controls.keys() == LABELS.keys()
    assert widget.controls.keys() - {"click"} == {*FormatDesigner.STATE} - {"schemes"}
    assert all(control.description == LABELS[name] for name, control in widget.controls.items())


def test_sliders_change_spec_figures_and_pictures(widget):
    before = widget.boxes["value_grid"].figure.view
    widget.controls["exponent"].value, widget.controls["mantissa"].value = 3, 2
    assert widget.spec.text == "e3m2/g32"
    assert widget.boxes["value_grid"].figure.view != before
    assert ">7</b>" in widget.headline.value
    assert "exponent=3&amp;mantissa=2" in widget.code.value


def test_a_wrong_codebook_is_said_and_the_design_stays(widget):
    widget.controls["kind"].value = "codebook"
    before = widget.designer.state
    widget.controls["values"].value = "0, nan"
    assert "nan among the values" in widget.problem.value
    assert widget.designer.state == before
    assert widget.controls["values"].value == "0, nan"
    widget.controls["values"].value = "1, -1, 0"
    assert widget.problem.value == ""
    assert widget.spec.text == "codebook(-1,0,1)/g32"
    assert widget.controls["values"].value == "-1, 0, 1"


def test_only_the_parts_of_its_kind_are_shown(widget):
    def shown() -> set[str]:
        return {name for name, c in widget.controls.items() if c.layout.display != "none"}

    assert {"exponent", "mantissa", "top"} <= shown()
    widget.controls["kind"].value = "integer"
    assert {"width", "signed"} <= shown()
    assert not {"exponent", "values", "click"} & shown()


def test_a_suggestion_is_taken_and_a_refused_one_said(widget):
    widget.made["best"].click()
    assert widget.designer.kind == "codebook"
    assert len(widget.designer.values) == 16
    widget.designer.set(kind="float", exponent=4, mantissa=3)
    widget.made["lloyd_max"].click()
    assert "1 to 6 bits" in widget.problem.value


def test_a_click_in_the_grid_changes_the_codebook(widget):
    widget.designer.set(kind="codebook", values=[-1, 0, 1], granularity="tensor")
    place = 0.5 * widget.designer.compute().histogram.largest
    click = widget.boxes["value_grid"].figure._message
    click(None, {"clicked": {"x": place, "customdata": None}}, [])
    assert widget.designer.values == pytest.approx([-1, 0, 0.5, 1], abs=0.02)
    widget.controls["click"].value = "remove"
    click(None, {"clicked": {"x": place, "customdata": None}}, [])
    assert widget.designer.values == [-1, 0, 1]


def test_what_stands_beside_it_is_typed_or_left_out(widget):
    widget.beside[0].value = "int99"
    assert "int99" in widget.problem.value
    widget.beside[0].value, widget.beside[1].value = "mxfp4", ""
    assert widget.designer.schemes == ["mxfp4"]
    assert len(widget.boxes["metrics_table"].view.data()) == 2


def test_code_that_changes_the_designer_moves_the_controls(widget):
    assert widget.designer.follow("?kind=integer&width=5&theme=dark&scheme=") == ""
    assert (widget.controls["width"].value, widget.controls["theme"].value) == (5, "dark")
    assert [field.value for field in widget.beside] == ["", ""]
    link = widget.designer.link()
    assert FormatDesigner.from_link(link).state == widget.designer.state
    assert FormatDesigner.from_link(f"#{link[1:]}").state == widget.designer.state


def test_readers_without_a_kernel_get_a_table(widget):
    bundle = widget._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "SQNR (dB)" in data["text/html"]


def test_an_unknown_host_is_refused_before_the_work():
    with pytest.raises(wb.WorkbenchError, match="notebook"):
        wb.design(SMALL, host="note")
