"""The format designer in a cell of JupyterLab: sliders, codebooks, suggestions, links; offline."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from workbench.explorers.format_designer import FormatDesigner

pytestmark = pytest.mark.browser
SMALL = "synthetic:student_t3,65536,0"
LINK = f"?source={SMALL}&kind=integer&width=3&granularity=tensor&scheme="
CELLS = [
    f"import workbench as wb\nwidget = wb.design({SMALL!r})\nwidget",
    "print('link', widget.designer.link())",
    f"refusal = widget.designer.follow({LINK!r})",
]
CONTROLS = {"button", "combobox", "slider", "textbox"}


def _run_next(page) -> None:
    page.keyboard.press("Shift+Enter")


def test_a_format_is_designed_in_a_cell(lab_notebook, page, shoot):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(lab_notebook(*CELLS))
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Idle", timeout=120_000)
    page.locator(".jp-CodeCell .cm-content").first.click()
    _run_next(page)
    page.locator(".view-figure .trace").first.wait_for(state="attached", timeout=120_000)
    shoot("designer-lab")
    assert _unnamed(page) == []
    _slides(page)
    spec = _suggests_and_copies(page)
    _refuses(page, spec)
    _reopens(page, spec)


def _unnamed(page) -> list[str]:
    """Roles of the widget's controls that have no name."""
    session = page.context.new_cdp_session(page)
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    query = {"nodeId": root, "selector": ".jp-OutputArea-output .widget-vbox"}
    node = session.send("DOM.querySelector", query)["nodeId"]
    found = []
    for role in sorted(CONTROLS):
        named = session.send("Accessibility.queryAXTree", {"nodeId": node, "role": role})["nodes"]
        assert named or role == "button", role
        found += [role for one in named if not one.get("name", {}).get("value", "").strip()]
    return found


def _slides(page) -> None:
    before = page.locator('[data-figure="SQNR"]').inner_text()
    slider = page.get_by_role("slider", name="Mantissa bits")
    slider.focus()
    slider.press("ArrowRight")
    expect(page.get_by_label("Spec string")).to_have_value("e2m2/g32", timeout=20_000)
    expect(page.locator('[data-figure="SQNR"]')).not_to_have_text(before)
    slider.press("ArrowLeft")
    expect(page.get_by_label("Spec string")).to_have_value("e2m1/g32", timeout=20_000)


def _suggests_and_copies(page) -> str:
    """The suggested codebook's spec string, by way of the clipboard."""
    page.get_by_role("button", name="Best for this tensor").click()
    made = FormatDesigner(source=SMALL).suggestions()["best"]
    spec = FormatDesigner(**made).spec_text
    expect(page.get_by_label("Spec string")).to_have_value(spec, timeout=20_000)
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()") == spec
    return spec


def _refuses(page, spec: str) -> None:
    field = page.get_by_role("textbox", name="Values")
    field.fill("-1, 0, nan")
    field.blur()
    expect(page.get_by_role("alert")).to_contain_text("nan among the values", timeout=20_000)
    expect(page.get_by_label("Spec string")).to_have_value(spec)


def _reopens(page, spec: str) -> None:
    """The printed link opens the same state, and another link moves the controls."""
    page.locator(".jp-CodeCell .cm-content").nth(1).click()
    _run_next(page)
    printed = page.get_by_text("link ?source=")
    expect(printed).to_be_visible(timeout=60_000)
    link = printed.inner_text().strip().removeprefix("link ")
    assert FormatDesigner.from_link(link).spec_text == spec
    _run_next(page)
    expect(page.get_by_label("Spec string")).to_have_value("int3/tensor", timeout=60_000)
    expect(page.get_by_role("slider", name="Integer bits")).to_have_attribute(
        "aria-valuenow", "3.0"
    )
    expect(page.get_by_role("slider", name="Exponent bits")).to_have_count(0)
