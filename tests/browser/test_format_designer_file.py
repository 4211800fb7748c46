"""The designer's file in a real browser: its own numbers are Python's, its state is its address."""

from __future__ import annotations

import itertools
from urllib.parse import urlencode

import numpy as np
import pytest
from playwright.sync_api import expect

from workbench.apps.format_designer_html import write_format_designer
from workbench.explorers.designer_words import SHARED
from workbench.explorers.format_designer import FormatDesigner

pytestmark = pytest.mark.browser
SMALL = "synthetic:student_t3,65536,0"
BOOKS = ("-1,0,1", "-1,1", "1,-0.9,0.3,0.1,-0.2", "0,1e-7,123456789,3", "-3,-2", "0,.1,.2,.3")
BESIDE = ("mxfp4", "nvfp4", "mxint8", "posit8", "posit8/g32", "lns4.3/g64", "nf4", "int8n/g32",
          "dynamic8/channel", "uq4.4/g16", "pow4(a=0.5)/g32", "e4m3b11fnuz", "FP8_E4M3 / tensor",
          "e4m3fn(bias=8,nan)/b32*e8m0", "ternary@std", "codebook(-1,-.5,1)/b16*e4m3fn*f32",
          "lloyd2/channel@std", "khot8(k=2)/g32", "e2m3(top=fn,nosub)")  # fmt: skip
REFUSED = (
    {"exponent": 8, "mantissa": 10}, {"exponent": 0, "mantissa": 0}, {"exponent": 9},
    {"exponent": "2.5"}, {"bias_shift": -17}, {"width": 17}, {"width": 0}, {"kind": "posit"},
    {"top": "ieee", "exponent": 0}, {"top": "ieee", "exponent": 1, "subnormals": False},
    {"top": "fn", "exponent": 1, "mantissa": 0}, {"top": "fnuz", "signed": False},
    {"signed": "perhaps"}, {"axis": "log"}, {"theme": "green"},
    {"values": "0, nan"}, {"values": "inf 1 0"}, {"values": "1"}, {"values": "1, 0, 1"},
    {"values": ""}, {"values": "0, x"}, {"values": " ".join(map(str, range(257)))},
    {"scheme": "int99"}, {"scheme": "codebook(1,0)"}, {"scheme": "codebook(0,nan)"},
    {"scheme": "codebook(1,1)"}, {"scheme": "codebook(1,x)"}, {"scheme": "e9m9/g32"},
    {"scheme": "uint4n"}, {"scheme": "e4m3(inf)"}, {"scheme": "e2m1(nan)"},
    {"scheme": "e4m3fn(foo)"}, {"scheme": ["int8", "int4", "nf4"]},
)  # fmt: skip

NUMBERS = """queries => queries.map((query) => {
  try {
    const state = stateOf(query), picture = pictureOf(state);
    return { query: queryOf(state), code: codeOf(state), rows: rowsOf(picture),
      sqnr: picture.map((one) => (Number.isNaN(one.sqnr) ? null : String(one.sqnr))),
      bounds: picture.map((one) => one.bound), grids: picture.map((one) => one.values) };
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    return { problem: refusal.message };
  }
})"""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """A file of a tensor with all ways to share scales, and codebooks of two bits."""
    path = tmp_path_factory.mktemp("designer") / "designer.html"
    return write_format_designer(path, {"source": SMALL}, bits=[2]).as_uri()


@pytest.fixture
def show(page, console, address, record):
    """`show(query)` opens the file on a state; nothing else is asked for."""

    def opened(query: str = "", **state) -> None:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto("about:blank")
        page.goto(address + (f"#{link(**state)[1:]}" if state else query))
        page.locator("#grid .trace").first.wait_for(state="attached", timeout=60_000)

    yield opened
    outside = [one for one in record.requests if not one.startswith(("file:", "about:"))]
    assert outside == []


def link(**state) -> str:
    """The link of a state of this tensor, as somebody would write it."""
    return f"?{urlencode({'source': SMALL, **state}, doseq=True)}"


def lattice() -> list[dict]:
    """Floats of every shape up to 9 bits, integers, codebooks and named formats."""
    options = ({}, {"subnormals": False}, {"signed": False}, {"bias_shift": 3, "granularity": ""},
               {"granularity": "g32*e8m0", "bias_shift": -5},
               {"granularity": "tensor"}, {})  # fmt: skip
    shapes = [(e, m) for e, m in itertools.product(range(9), range(8)) if 0 < e + m < 9]
    tops = itertools.cycle(("usual", "ieee", "fn", "fnuz", "finite"))
    mixed = zip(shapes, tops, itertools.cycle(options), strict=False)
    floats = [{"exponent": e, "mantissa": m, "top": top, **more} for (e, m), top, more in mixed]
    ways = itertools.cycle((*SHARED, ""))
    whole = [{"kind": "integer", "width": width, "signed": bool(width % 3), "granularity": shared}
             for width, shared in zip((*range(1, 10), 12), ways, strict=False)]  # fmt: skip
    books = [{"kind": "codebook", "values": values, "granularity": next(ways)}
             for values in BOOKS * 4]  # fmt: skip
    return [*floats, *whole, *books, *({"scheme": text} for text in BESIDE)]


def test_its_numbers_are_those_of_python(show, page):
    states = [*lattice(), *REFUSED]
    show()
    found = page.evaluate(NUMBERS, [link(**state) for state in states])
    designer, refused = FormatDesigner(source=SMALL), 0
    for state, mine in zip(states, found, strict=True):
        problem = designer.follow(link(**state))
        assert mine.get("problem", "") == problem, state
        refused += bool(problem)
        if not problem:
            _agrees(designer, mine)
    assert len(states) - refused > 80
    assert sum(None in mine.get("sqnr", []) for mine in found) < 8


def _agrees(designer: FormatDesigner, mine: dict) -> None:
    """The figures in the page are those of the designer, where these are of the same sketch."""
    assert f"?{mine['query']}" == (designer.link() or "?")
    assert mine["code"] == designer.code()
    picture, rows = designer.compute(), designer.rows()
    for i, (row, own) in enumerate(zip(rows, mine["rows"], strict=True)):
        where = f"{row['scheme']} {designer.link()}"
        for name in ("scheme", "bits a value", "gates", "gates from", "values"):
            assert own[name] == row[name], where
        if mine["sqnr"][i] is None:
            assert own["provenance"] == "scales are clamped: not known here", where
            continue
        grid = picture.grids_over(None)[i].values
        assert np.array(mine["grids"][i]) == pytest.approx(grid, rel=3e-7, abs=0), where
        figures = picture.figures[i]
        if np.isfinite(figures.sqnr):
            slack = {"sketch": figures.bound or 0, "exact": mine["bounds"][i] or 0}
            allowed = 1e-9 + slack.get(figures.provenance, 1.0)  # a sample has no bound
            assert float(mine["sqnr"][i]) == pytest.approx(figures.sqnr, abs=allowed), where
            assert own["provenance"].startswith("sketch ±"), where


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_draws_in_both_themes_wide_and_narrow(show, page, shoot, theme):
    show(theme=theme)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(400)
        expect(page.get_by_text("Quality and size")).to_be_visible()
        shoot(f"designer-file-{theme}-{width}")
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        assert _clipped(page) == []


def _clipped(page) -> list[str]:
    """Texts of the pictures that stick out of them."""
    return page.evaluate("""() => [...document.querySelectorAll('.main-svg')].flatMap((svg) => {
      const box = svg.getBoundingClientRect();
      return [...svg.querySelectorAll('text')].filter((text) => {
        const own = text.getBoundingClientRect();
        return own.width && (own.left < box.left - 1 || own.right > box.right + 1);
      }).map((text) => text.textContent);
    })""")


def test_a_slider_by_key_changes_spec_figures_and_address(show, page):
    show()
    before = page.locator('[data-figure="SQNR"]').inner_text()
    slider = page.get_by_role("slider", name="Mantissa bits")
    slider.press("ArrowRight")
    expect(page.get_by_label("Spec string")).to_have_value("e2m2/g32")
    expect(page.locator('[data-figure="SQNR"]')).not_to_have_text(before)
    expect(page.locator('[data-figure="bits a value"]')).to_have_text("6")
    page.wait_for_function("() => location.hash.includes('mantissa=2')")
    slider.press("End")
    page.get_by_role("slider", name="Exponent bits").press("End")
    expect(page.get_by_role("alert")).to_contain_text("it has 19 bits")
    expect(slider).to_have_value("10")
    expect(page.get_by_role("slider", name="Exponent bits")).to_have_value("2")


def test_a_typed_codebook_is_taken_and_wrong_ones_said(show, page):
    show(kind="codebook")
    field = page.get_by_role("textbox", name="Values")
    for typed, says in (("0, nan", "nan among the values"), ("1, 1", "1 twice"), ("1", "1 values")):
        field.fill(typed)
        field.blur()
        expect(page.get_by_role("alert")).to_contain_text(says)
        expect(field).to_have_value(typed)
        assert page.evaluate("() => state.values.length") == 9
    field.fill("1 -0.25, 0, 0.25 -1")
    field.blur()
    expect(page.get_by_label("Spec string")).to_have_value("codebook(-1,-0.25,0,0.25,1)/g32")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_codebook_is_drawn_by_clicks(show, page):
    show(kind="codebook", values="-1,0,1", granularity="tensor", scheme="")
    steps = (("adds a value", 0.5, [-1, 0, 0.5, 1]), ("moves the nearest value", 0.3,
             [-1, 0, 0.3, 1]), ("removes the nearest value", 0.35, [-1, 0, 1]))  # fmt: skip
    for doing, share, values in steps:
        page.get_by_label("A click in the grid").select_option(label=doing)
        box = page.locator("#grid .nsewdrag[data-subplot='xy2']").bounding_box()
        x, y = box["x"] + (0.5 + share / 2.5) * box["width"], box["y"] + box["height"] / 2
        page.mouse.move(x - 2, y)
        page.wait_for_timeout(600)  # two clicks within 300 ms would be a double click
        page.mouse.click(x, y)
        page.wait_for_function(
            "(values) => state.values.length === values.length"
            " && values.every((x, i) => Math.abs(x - state.values[i]) < 0.03)",
            arg=values,
        )


def test_a_suggestion_is_applied_copied_and_opened_again(show, page, address):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    show(kind="integer", width=2)
    page.get_by_role("button", name="Best for this tensor").click()
    page.wait_for_function("() => location.hash.includes('kind=codebook')")
    designer = FormatDesigner.from_link(page.evaluate("() => location.hash"))
    made = FormatDesigner(source=SMALL, kind="integer", width=2).suggestions()
    assert designer.values == made["best"]["values"]
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    spec = page.get_by_label("Spec string").input_value()
    assert page.evaluate("() => navigator.clipboard.readText()") == spec == designer.spec_text
    sqnr = page.locator('[data-figure="SQNR"]').inner_text()
    show(page.evaluate("() => location.hash"))
    expect(page.get_by_label("Spec string")).to_have_value(spec)
    expect(page.locator('[data-figure="SQNR"]')).to_have_text(sqnr)
    page.get_by_label("Theme").select_option("dark")
    assert page.evaluate("() => `?${queryOf(state)}`") == f"{designer.link()}&theme=dark"
    _copies_without_a_clipboard(page, spec)


def _copies_without_a_clipboard(page, spec: str) -> None:
    """As a page that came over plain http has none; the button forgets the last press first."""
    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()
    page.evaluate("() => { delete Navigator.prototype.clipboard; window.heard = []; }")
    page.evaluate("""() => document.addEventListener('copy', () =>
      window.heard.push(document.activeElement.value))""")
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("() => window.heard") == [spec]


def test_a_link_of_the_page_may_follow_the_name_of_the_file(show, page, address):
    page.goto(address + link(kind="integer", width=3, granularity="/b16"))
    expect(page.get_by_label("Spec string")).to_have_value("int3/b16")
    expect(page.get_by_label("One scale for each")).to_have_value('"g16"')


def test_what_the_file_does_not_hold_is_said(show, page):
    show(exponent=3, mantissa=3)
    page.get_by_role("button", name="Lloyd-Max").click()
    expect(page.get_by_role("alert")).to_contain_text("1 to 6 bits")
    for fragment, says in (
        (f"#{link(width='x')[1:]}", "width = 'x'"),
        ("#exponent=3", f"this file holds {SMALL}"),
        (f"#{link(granularity='g32+zp')[1:]}", "no values scaled so"),
        (f"#{link(scheme='posit77')[1:]}", "this file holds no such format"),
    ):
        page.evaluate("(to) => { location.hash = to; }", fragment)
        expect(page.get_by_role("alert")).to_contain_text(says)
        expect(page.get_by_label("Spec string")).to_have_value("e3m3/g32")
    show(f"#{link(colour=1)[1:]}")
    expect(page.get_by_role("alert")).to_contain_text("no entry of a link has this name")
    expect(page.get_by_label("Spec string")).to_have_value("e2m1/g32")


def test_every_control_is_reached_by_tab_and_named(show, page, control_names):
    show(kind="float")
    page.locator("#twin summary").click()
    expect(page.locator("#values-table tbody tr")).not_to_have_count(0)
    for kind in ("float", "integer", "codebook"):
        page.get_by_label("Design").select_option(kind)
        named = control_names()
        assert len(named) > 11
        assert "" not in named
        shown = page.evaluate(SHOWN)
        page.get_by_label("Design").focus()
        reached = {"kind"}
        for _ in range(len(shown) + 2):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("() => document.activeElement.id"))
        assert set(shown) <= reached


SHOWN = """() => [...document.querySelectorAll('#controls [id], #spec, #copy')]
  .filter((node) => node.matches('input, select, textarea, button') && node.checkVisibility())
  .map((node) => node.id)"""
