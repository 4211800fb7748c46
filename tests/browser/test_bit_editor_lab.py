"""The bit-field editor in a cell of JupyterLab: edits of the page reach the kernel, and back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
CELLS = [
    "from workbench.widgets.bit_editor import BitEditorWidget\n"
    "widget = BitEditorWidget(format='e4m3fn', code=0x44)\nwidget",
    "print('code', hex(widget.editor.code))",
]


def _run_next(page) -> None:
    page.keyboard.press("Shift+Enter")


def test_bits_are_edited_in_a_cell(lab_notebook, page, shoot):
    page.goto(lab_notebook(*CELLS))
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Idle", timeout=120_000)
    page.locator(".jp-CodeCell .cm-content").first.click()
    _run_next(page)
    page.locator(".bits-cell").first.wait_for(timeout=120_000)
    cell = page.get_by_role("button", name="mantissa bit 0, weight 2^-3 of the significand, 0")
    cell.click()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("0")
    page.keyboard.press("0")
    expect(page.get_by_label("Decimal", exact=True)).to_have_value("3.5")
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    page.get_by_label("Format", exact=True).fill("fp4")
    page.get_by_label("Format", exact=True).press("Enter")
    expect(page.get_by_label("Format", exact=True)).to_have_value("e2m1")
    shoot("bits-lab")
    page.locator(".jp-CodeCell .cm-content").nth(1).click()
    _run_next(page)
    expect(page.get_by_text("code 0x6")).to_be_visible(timeout=60_000)
