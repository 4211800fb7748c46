"""The format explorer in a real browser: page and report react, link, and stay offline."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from workbench.apps.report import write_report

pytestmark = pytest.mark.browser
SMALL = "synthetic:student_t3,65536,0"

# Functions for the page: every node of all shadow trees, and the plots among them.
TOOLS = """() => {
  window.all = (root) => [...root.querySelectorAll('*')].flatMap(
    (node) => [node, ...(node.shadowRoot ? window.all(node.shadowRoot) : [])]);
  window.plots = () => window.all(document).filter((node) => node.matches('.js-plotly-plot'));
}"""
DRAWN = "(count) => window.plots().filter((plot) => plot.querySelector('.trace')).length >= count"
TITLES = "() => window.plots().map((plot) => plot.data.length)"


def _open(page, served, theme: str = "light", **state: str):
    """The Panel page in a state, drawn."""
    page.set_viewport_size({"width": 1280, "height": 800})
    query = urlencode({"source": SMALL, **({"theme": "dark"} if theme == "dark" else {}), **state})
    page.goto(f"{served.links['Page format_explorer']}?{query}", timeout=120_000)
    page.evaluate(TOOLS)
    page.wait_for_function(DRAWN, arg=1, timeout=60_000)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_draws_in_both_themes(served, page, console, shoot, theme):
    _open(page, served, theme)
    shoot(f"page-{theme}")
    expect(page.get_by_text("Quality and size")).to_be_visible()
    page.get_by_text("Spread of each channel").scroll_into_view_if_needed()
    page.wait_for_function(DRAWN, arg=3, timeout=60_000)
    page.wait_for_timeout(500)
    shoot(f"page-{theme}-below")


def test_the_slider_moves_by_key_and_redraws_from_the_sketch(served, page, console):
    _open(page, served)
    before = page.evaluate("() => Array.from(window.plots()[0]._fullData[1].x)")
    handle = page.locator(".noUi-handle").first
    handle.focus()
    for _ in range(8):
        handle.press("ArrowRight")
    page.wait_for_function(
        "(before) => JSON.stringify(Array.from(window.plots()[0]._fullData[1].x)) "
        "!== JSON.stringify(before)",
        arg=before,
    )
    page.wait_for_function("() => location.search.includes('shift=0.5')")


def test_numbers_become_exact(served, page, console):
    _open(page, served, scheme="int4")
    expect(page.locator(".view-origin.exact").first).to_be_visible(timeout=60_000)


def test_a_malformed_scheme_is_said_and_the_picture_stays(served, page, console, shoot):
    _open(page, served)
    before = page.evaluate(TITLES)
    field = page.get_by_label("Scheme 2")
    field.fill("int99")
    field.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("int99")
    shoot("page-refusal")
    assert page.evaluate(TITLES) == before
    field.fill("int6")
    field.press("Enter")
    expect(page.get_by_role("cell", name="int6/tensor").first).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_malformed_link_is_said_and_the_page_opens(served, page, console):
    _open(page, served, shift="abc")
    expect(page.get_by_role("alert").first).to_contain_text("shift=abc")


def test_dragging_over_the_grid_chooses_a_range_for_all_views(served, page, console, shoot):
    _open(page, served)
    box = page.evaluate(
        "() => { const r = window.plots()[0].querySelector('.nsewdrag').getBoundingClientRect();"
        " return [r.x, r.y, r.width, r.height]; }"
    )
    x, y, width, height = box
    page.mouse.move(x + 0.6 * width, y + height / 2)
    page.mouse.down()
    page.mouse.move(x + 0.75 * width, y + height / 2, steps=8)
    page.mouse.up()
    page.wait_for_function("() => location.search.includes('selection=')")
    expect(page.get_by_text("among values from")).to_have_count(1)
    shoot("page-selection")


def test_every_control_is_reached_by_tab_and_named(served, page, console, control_names):
    _open(page, served)
    names = control_names()
    assert len(names) > 15
    assert "" not in names


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of a small tensor."""
    return write_report(tmp_path_factory.mktemp("report") / "r.html", SMALL, ["int4", "mxfp4"])


def _open_report(page, report) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(report.as_uri())
    page.wait_for_selector("body[data-ready=yes]")
    page.evaluate(TOOLS)


def test_the_report_opens_from_disk_and_asks_for_nothing(page, record, console, shoot, report):
    _open_report(page, report)
    assert page.evaluate(DRAWN, 4)
    shoot("report")
    assert [address for address in record.requests if not address.startswith("file:")] == []


def test_a_scheme_is_hidden_in_every_picture_of_the_report(page, console, report):
    _open_report(page, report)
    count = "() => window.plots().map((p) => p.data.filter((t) => t.visible === false).length)"
    assert page.evaluate(count) == [0, 0, 0, 0]
    page.get_by_role("checkbox", name="int4/tensor").uncheck()
    page.wait_for_function(
        "() => window.plots().every((p) => p.data.some((t) => t.visible === false))"
    )
    page.get_by_role("checkbox", name="int4/tensor").check()
    page.wait_for_function(f"() => ({count})().every((hidden) => hidden === 0)")


ERRORS = "() => window.plots()[1]._fullData.slice(0, 3).flatMap((t) => Array.from(t.y))"


def test_a_range_brushed_in_the_report_filters_the_errors(page, console, shoot, report):
    _open_report(page, report)
    before = page.evaluate(ERRORS)
    drag = page.locator("#value_grid .nsewdrag").first.bounding_box()
    page.mouse.move(drag["x"] + 0.44 * drag["width"], drag["y"] + 20)
    page.mouse.down()
    page.mouse.move(drag["x"] + 0.56 * drag["width"], drag["y"] + 20, steps=8)
    page.mouse.up()
    expect(page.locator("#range")).to_contain_text("% of the values")
    shoot("report-selection")
    brushed = page.evaluate(ERRORS)
    assert brushed != before
    assert sum(brushed) == pytest.approx(1, abs=1e-3)
    page.get_by_role("button", name="All values").click()
    assert page.evaluate(ERRORS) == pytest.approx(before, abs=1e-4)


def test_a_range_typed_in_the_report_is_the_same_as_in_the_explorer(page, console, report):
    from workbench.explorers.format_explorer import FormatExplorer

    explorer = FormatExplorer(source=SMALL, schemes=["int4", "mxfp4"])
    explorer.refine(lambda: None, delay=0)
    assert explorer.wait(60)
    _open_report(page, report)
    page.locator("#low").fill("-2")
    page.locator("#high").fill("1.5")
    page.locator("#high").press("Enter")
    page.locator("#high").blur()
    expect(page.locator("#range")).to_contain_text("% of the values")
    shares = explorer.compute().fields[0].shares((-2, 1.5)).ravel()
    assert page.evaluate(ERRORS) == pytest.approx(shares.tolist(), abs=1e-4)
