"""The notebook host of the bit-field editor syncs its state both ways."""

from __future__ import annotations

import re

import pytest
from workbench.widgets.bit_editor import BitEditorWidget

from workbench.explorers.bit_editor import BitEditor


@pytest.fixture
def widget() -> BitEditorWidget:
    widget = BitEditorWidget(format="e4m3fn", code=0x44)
    yield widget
    widget.close()


def test_an_edit_of_the_page_reaches_the_editor(widget):
    widget.state = {**widget.state, "code": 0x45}
    assert widget.editor.value == 3.25
    assert widget.problem == ""


def test_code_that_changes_the_editor_reaches_the_page(widget):
    widget.editor.set(code=0x46)
    assert widget.state["code"] == 0x46


def test_a_format_that_the_page_does_not_know_comes_with_the_state(widget):
    widget.state = {**widget.state, "format": "fp4", "code": None}
    assert widget.state["format"] == "e2m1"
    widget.state = {**widget.state, "format": "posit8", "code": None}
    assert widget.editor.value == 3
    assert "posit8" in widget.supplies["formats"]


def test_a_block_that_the_page_does_not_know_comes_with_its_example(widget):
    widget.state = {**widget.state, "block": "mxfp4", "scale": None, "elements": None}
    assert len(widget.state["elements"]) == 32
    assert {"e2m1", "e8m0"} <= set(widget.supplies["formats"])


def test_a_refused_state_is_put_back_and_said(widget):
    before = widget.state
    widget.state = {**before, "format": "e4m3nf"}
    assert widget.state == before
    assert widget.problem.count("→") == 2
    widget.state = {**before, "code": 1}
    assert widget.problem == ""


def test_an_editor_can_be_given(widget):
    editor = BitEditor(compare=["int8"])
    other = BitEditorWidget(editor)
    assert other.editor is editor
    assert other.state["compare"] == ["int8"]
    other.close()


def test_the_script_is_one_module_that_asks_for_nothing(widget):
    assert widget._esm.count("export default") == 1
    assert not re.search(r"^import |import\(|fetch\(|https?:", widget._esm, re.MULTILINE)


def test_readers_without_a_kernel_get_words(widget):
    bundle = widget._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "e4m3fn, code 0x44" in data["text/html"]
