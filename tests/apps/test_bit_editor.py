"""The Panel page and the file of the bit-field editor follow its state."""

from __future__ import annotations

import json
import re

import pytest

from workbench.apps.bit_editor_html import bit_editor_html, write_bit_editor
from workbench.apps.bit_editor_page import BitPage
from workbench.errors import WorkbenchError
from workbench.explorers.bit_editor import BitEditor


def test_the_page_opens_on_its_link():
    page = BitPage("?format=e4m3fn&code=0x44&block=mxfp4")
    assert page.pane.state == page.editor.state
    assert page.editor.value == 3
    assert set(page.pane.supplies["formats"]) >= {"e4m3fn", "e2m1", "e8m0"}


def test_a_malformed_link_is_said_and_the_page_opens():
    page = BitPage("?format=e4m3nf")
    assert page.pane.problem.count("→") == 2
    assert page.pane.state == BitEditor().state


def test_an_edit_of_the_page_reaches_the_editor():
    page = BitPage()
    page.pane.state = {**page.pane.state, "format": "fp4", "code": None}
    assert page.editor.format == page.pane.state["format"] == "e2m1"
    page.pane.state = {**page.pane.state, "format": "posit8", "code": None}
    assert "posit8" in page.pane.supplies["formats"]


def test_a_refused_state_is_put_back():
    page = BitPage()
    before = page.pane.state
    page.pane.state = {**before, "compare": ["int99"]}
    assert page.pane.state == before
    assert "int99" in page.pane.problem


def test_the_file_holds_what_its_state_needs_and_forbids_requests(tmp_path):
    path = write_bit_editor(tmp_path / "bits.html", {"format": "posit8", "theme": "dark"})
    text = path.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"https?://", text)
    supplies = json.loads(re.search(r"const SUPPLIES = (.*);// What a code", text)[1])
    assert supplies["start"]["format"] == "posit8"
    assert {"f32", "bf16", "e2m1", "posit8", "nf4"} <= set(supplies["formats"])
    assert path.stat().st_size < 2_000_000


def test_a_file_of_few_formats_is_small():
    text = bit_editor_html(BitEditor(compare=["e2m1"]), ["e4m3fn"])
    assert len(text) < 500_000


@pytest.mark.parametrize("name", ["nowhere/bits.html", "/proc/bits.html"])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path, name):
    with pytest.raises(WorkbenchError):
        write_bit_editor(tmp_path / name)
