"""The format designer in a real browser: sliders, drawn and made codebooks, links, both themes."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
SMALL = "synthetic:student_t3,65536,0"
TOOLS = """() => {
  window.all = (root) => [...root.querySelectorAll('*')].flatMap(
    (node) => [node, ...(node.shadowRoot ? window.all(node.shadowRoot) : [])]);
  window.plots = () => window.all(document).filter((node) => node.matches('.js-plotly-plot'));
}"""
DRAWN = "(count) => window.plots().filter((plot) => plot.querySelector('.trace')).length >= count"


def _open(page, served, **state: str):
    """The designer's page in a state, drawn."""
    page.set_viewport_size({"width": 1280, "height": 900})
    query = f"?{urlencode(state)}" if state else ""
    page.goto(f"{served.links['Page format_designer']}{query}", timeout=120_000)
    page.evaluate(TOOLS)
    page.wait_for_function(DRAWN, arg=2, timeout=60_000)


def _spec(page):
    return page.get_by_label("Spec string")


def _sqnr(page) -> str:
    return page.locator('[data-figure="SQNR"]').inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_draws_in_both_themes(served, page, console, shoot, theme):
    _open(page, served, theme=theme)
    expect(page.get_by_text("Quality and size")).to_be_visible()
    expect(_spec(page)).to_have_value("e2m1/g32")
    page.wait_for_timeout(300)
    shoot(f"designer-{theme}")


def test_a_slider_by_key_changes_spec_figures_and_address(served, page, console):
    _open(page, served, source=SMALL)
    before = _sqnr(page)
    handle = page.get_by_role("slider", name="Mantissa bits")
    handle.focus()
    handle.press("ArrowRight")
    expect(_spec(page)).to_have_value("e2m2/g32")
    expect(page.locator('[data-figure="SQNR"]')).not_to_have_text(before)
    expect(page.locator('[data-figure="bits a value"]')).to_have_text("6")
    page.wait_for_function("() => location.search.includes('mantissa=2')")


def test_a_typed_codebook_is_taken_and_a_wrong_one_said(served, page, console, shoot):
    _open(page, served, source=SMALL, kind="codebook")
    field = page.get_by_role("textbox", name="Values")
    field.fill("-1, 0, x")
    field.blur()
    expect(page.get_by_role("alert")).to_contain_text("a codebook is a list of numbers")
    shoot("designer-refusal")
    field.fill("-1, -0.25, 0, 0.25, 1")
    field.blur()
    expect(_spec(page)).to_have_value("codebook(-1,-0.25,0,0.25,1)/g32")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_codebook_is_drawn_by_clicks(served, page, console, shoot):
    _open(page, served, source=SMALL, kind="codebook", values="-1,0,1", granularity="tensor")
    _click(page, 0.5)
    assert _drawn(page, 4) == pytest.approx([-1, 0, 0.5, 1], abs=0.02)
    page.get_by_label("A click in the grid").select_option("moves the nearest value")
    _click(page, 0.25)
    page.wait_for_function("() => location.search.includes('C0.2')")
    assert _drawn(page, 4) == pytest.approx([-1, 0, 0.25, 1], abs=0.02)
    shoot("designer-drawn")
    page.get_by_label("A click in the grid").select_option("removes the nearest value")
    _click(page, 0.3)
    assert _drawn(page, 3) == [-1, 0, 1]


def _drawn(page, count: int) -> list[float]:
    """The values of the codebook once there are so many."""
    expect(_spec(page)).to_have_value(re.compile(rf"codebook\(([^,]+,){{{count - 1}}}[^,]+\)"))
    return [float(v) for v in _spec(page).input_value().split("(")[1].split(")")[0].split(",")]


def _click(page, share: float) -> None:
    """Click in the design's strip, at a share of the largest magnitude (the axis reaches 1.25)."""
    x, y, width, height = page.evaluate(
        "() => { const r = window.plots()[0].querySelector(\".nsewdrag[data-subplot='xy2']\")"
        ".getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; }"
    )
    place = x + (0.5 + share / 2.5) * width, y + height / 6
    page.mouse.move(place[0] - 2, place[1])
    page.wait_for_timeout(600)  # two clicks within 300 ms would be a double click
    page.mouse.click(*place)


def test_the_best_codebook_is_made_and_its_address_opens_it_again(served, page, console, shoot):
    _open(page, served)
    before = float(_sqnr(page).split()[0])
    page.get_by_role("button", name="Best for this tensor").click()
    page.wait_for_function("() => location.search.includes('kind=codebook')")
    expect(page.locator('[data-figure="SQNR"]')).to_have_text("21.30 dB")
    assert float(_sqnr(page).split()[0]) > before + 1
    page.wait_for_timeout(300)
    shoot("designer-best")
    spec, address = _spec(page).input_value(), page.url
    page.goto(address)
    page.evaluate(TOOLS)
    page.wait_for_function(DRAWN, arg=2, timeout=60_000)
    expect(_spec(page)).to_have_value(spec)
    expect(page.locator('[data-figure="SQNR"]')).to_have_text("21.30 dB")


def test_the_spec_string_is_copied(served, page, console):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _open(page, served, source=SMALL, exponent="3")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()") == "e3m1/g32"
    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()


def test_a_malformed_link_is_said_and_the_page_opens(served, page, console):
    _open(page, served, width="x")
    expect(page.get_by_role("alert")).to_contain_text("width = 'x'")


def test_every_control_is_reached_by_tab_and_named(served, page, console, control_names):
    _open(page, served)
    names = control_names()
    assert len(names) > 12
    assert "" not in names
