"""The bit-field editor in a real browser: bits, numbers and links do as Python says, offline."""

from __future__ import annotations

import math

import numpy as np
import pytest
from playwright.sync_api import expect

import workbench as wb
from workbench.apps.bit_editor_html import write_bit_editor
from workbench.explorers.bit_codes import code_in, decode, encode
from workbench.explorers.bit_descriptors import descriptor
from workbench.explorers.bit_editor import BitEditor

pytestmark = pytest.mark.browser
HOSTS = ["page", "file"]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The editor as a file, as it is written by default."""
    return write_bit_editor(tmp_path_factory.mktemp("bits") / "bits.html")


@pytest.fixture(params=HOSTS)
def open_editor(request, page, console, file):
    """`open_editor(state)` shows a state in each host; gives back how to read its link."""
    page.set_viewport_size({"width": 1280, "height": 900})

    def show(**state):
        editor = BitEditor(**state)
        if request.param == "file":
            page.goto("about:blank")
            page.goto(f"{file.as_uri()}{editor.hash()}")
        else:
            served = request.getfixturevalue("served")
            page.goto(served.links["Page bit_editor"] + editor.link(), timeout=120_000)
        page.locator(".bits-table tbody tr").first.wait_for(timeout=60_000)
        return lambda: page.evaluate("() => location.search || location.hash")

    show.host = request.param
    return show


def _bits(page, group: str = "Bits,") -> str:
    cells = page.get_by_role("group", name=group).locator(".bits-cell b")
    return "".join(cells.all_inner_texts())


def _comes_to(page, link, **state) -> None:
    """The link becomes that of a state, and the state is what it leads to."""
    wanted = BitEditor(**state).state
    for _ in range(100):
        if link() and BitEditor.from_link(link()).state == wanted:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{link()} does not lead to {wanted}")


def _cell(page, name: str):
    return page.get_by_role("button", name=name)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_opens_on_pi_with_the_lost_bits_struck_through(open_editor, page, shoot, theme):
    open_editor(theme=theme)
    shoot(f"bits-{open_editor.host}-{theme}")
    rows = page.locator(".bits-table tbody tr")
    assert rows.locator("th").all_inner_texts() == ["f32", "bf16", "e4m3fn", "e2m1"]
    assert [rows.nth(i).locator(".bits-lost").count() for i in range(4)] == [0, 16, 20, 22]
    grs = [rows.nth(i).locator("td").nth(5).inner_text() for i in range(4)]
    assert grs == ["0 0 0", "0 0 1", "1 0 1", "0 0 1"]
    expect(page.locator(".bits-caption")).to_contain_text("keeps 2 of its 24 significant bits")


def test_a_click_toggles_a_bit_and_the_link_follows(open_editor, page):
    link = open_editor(format="e4m3fn", code=0x44)
    cell = _cell(page, "mantissa bit 0, weight 2^-3 of the significand, 0")
    cell.click()
    assert _bits(page) == "01000101"
    expect(page.get_by_label("Decimal", exact=True)).to_have_value("3.25")
    expect(_cell(page, "mantissa bit 0, weight 2^-3 of the significand, 1")).to_have_attribute(
        "aria-pressed", "true"
    )
    _comes_to(page, link, format="e4m3fn", code=0x45)


def test_a_drag_paints_bits_with_the_value_of_the_first(open_editor, page):
    link = open_editor(format="e5m2", code=0b01000101)
    cells = page.get_by_role("group", name="Bits, e5m2").locator(".bits-cell")
    first, last = cells.nth(2).bounding_box(), cells.nth(6).bounding_box()
    page.mouse.move(first["x"] + 15, first["y"] + 20)
    page.mouse.down()
    page.mouse.move(last["x"] + 15, last["y"] + 20, steps=12)
    page.mouse.up()
    assert _bits(page) == "01111111"
    page.mouse.move(first["x"] + 15, first["y"] + 20)
    assert _bits(page) == "01111111"
    _comes_to(page, link, format="e5m2", code=0b01111111)


def test_keys_move_set_and_step(open_editor, page):
    link = open_editor(format="e4m3fn", code=0x44)
    _cell(page, "sign bit 0").focus()
    for key, bits in [
        ("ArrowRight", "01000100"), ("ArrowRight", "01000100"), ("1", "01100100"),
        ("0", "01000100"), ("Space", "01100100"), ("Enter", "01000100"), ("Home", "01000100"),
        ("1", "11000100"), ("Space", "01000100"), ("End", "01000100"), ("1", "01000101"),
        ("ArrowUp", "01000110"), ("ArrowDown", "01000101"), ("ArrowLeft", "01000101"),
        ("1", "01000111"),
    ]:  # fmt: skip
        page.keyboard.press(key)
        assert _bits(page) == bits, key
    _comes_to(page, link, format="e4m3fn", code=0x47)


def test_ulp_buttons_and_jumps_walk_the_values(open_editor, page):
    open_editor(format="e5m2", code=0)
    decimal, badge = page.get_by_label("Decimal", exact=True), page.locator(".bits-badge")
    for name, value, kind in [
        ("−1 ulp", "−0.0000152587890625", "subnormal"), ("+1 ulp", "0", "zero"),
        ("smallest subnormal", "0.0000152587890625", "subnormal"),
        ("smallest normal", "0.00006103515625", "normal"), ("one", "1", "normal"),
        ("largest", "57344", "normal"), ("+1 ulp", "∞", "infinity"), ("+1 ulp", "∞", "infinity"),
        ("−1 ulp", "57344", "normal"), ("NaN", "NaN", "NaN"),
    ]:  # fmt: skip
        page.get_by_role("button", name=name, exact=True).click()
        expect(decimal).to_have_value(value)
        expect(badge).to_have_text(kind)
    page.get_by_role("button", name="+1 ulp").click()
    expect(page.get_by_role("alert")).to_contain_text("NaN has no neighbours")


def test_the_jumps_are_those_that_exist(open_editor, page):
    open_editor(format="e2m1", code=1)
    names = page.locator(".bits-jumps button").all_inner_texts()
    assert names == [jump["name"] for jump in descriptor("e2m1")["jumps"]]
    assert not {"infinity", "NaN"} & set(names)


ENTRIES = (
    ("Decimal", "0.1", 0x1D, "0.1 is rounded: 0.1015625"),
    ("Decimal", "-1e3", 0xFE, "-1e3 lies beyond the last value: −448"),
    ("Decimal", "1e-9", 0x00, "rounds to zero"),
    ("Decimal", "nan", 0x7F, ""),
    ("Decimal", "2.5", 0x42, ""),
    ("Hexadecimal code", "7e", 0x7E, ""),
    ("Binary code", "0b1_0000_001", 0x81, ""),
)


def _enter(page, field: str, text: str) -> None:
    page.get_by_label(field, exact=True).fill(text)
    page.get_by_label(field, exact=True).press("Enter")


def test_an_entry_becomes_a_code(open_editor, page):
    link = open_editor(format="e4m3fn", code=0x44)
    for field, text, code, note in ENTRIES:
        _enter(page, field, text)
        _comes_to(page, link, format="e4m3fn", code=code)
        if note:
            expect(page.locator(".bits-fine").filter(has_text=note)).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)


MALFORMED = (  # what is refused in a field, one after the other, and what is good in it
    ("Decimal", ("abc", "0x10", "1e999", "", "nan"), "5"),
    ("Hexadecimal code", ("0x10", "xyz"), "5"),
    ("Binary code", ("10101", "012"), "0101"),
    ("Format", ("e4m3nf",), "int4"),
    ("Formats compared", ("f32, int99",), "f32, f16"),
    ("Formats compared", ("",), "f32, f16"),
)


@pytest.mark.parametrize(("field", "refused", "good"), MALFORMED)
def test_a_malformed_entry_is_answered_beside_it_and_nothing_changes(
    open_editor, page, field, refused, good, shoot
):
    link = open_editor(format="int4", code=5)
    before = link()
    answer = page.locator(".bits-entry").filter(has=page.get_by_label(field, exact=True))
    for text in refused:
        _enter(page, field, text)
        expect(answer.get_by_role("alert")).to_contain_text("→")
        assert answer.get_by_role("alert").inner_text().count("→") == 2
        assert (_bits(page), link()) == ("0101", before)
        if text in ("abc", "f32, int99"):
            shoot(f"bits-{open_editor.host}-refusal-{field.split()[0]}")
        _enter(page, field, good)
        expect(page.get_by_role("alert")).to_have_count(0)


def test_another_format_keeps_the_value(open_editor, page):
    link = open_editor(format="e4m3fn", code=0x44)
    for name, code in (("int8", 3), ("posit8", 0x4C), ("nf4", 15), ("bf16", 0x3F80)):
        page.get_by_label("Format", exact=True).fill(name)
        page.get_by_label("Format", exact=True).press("Enter")
        _comes_to(page, link, format=name, code=code)


def test_a_posit_shows_its_fields_as_they_fall(open_editor, page, shoot):
    compare = ["f32", "posit8", "int8", "nf4", "e8m0", "lns4.3"]
    open_editor(format="posit8", code=0x52, compare=compare)
    labels = page.get_by_role("group", name="Bits, posit8").locator(".bits-label")
    assert labels.all_inner_texts() == ["S", "R", "E", "F fraction"]
    _cell(page, "exponent bit 1").click()
    shoot(f"bits-{open_editor.host}-posit")
    _cell(page, "regime bit 0").click()
    assert labels.all_inner_texts() == ["S", "R regime", "E", "F"]
    code = int(_bits(page), 2)
    expect(page.get_by_label("Decimal", exact=True)).to_have_value(f"{decode('posit8', code):g}")


def test_the_numbers_of_the_formula_are_dragged_and_typed(open_editor, page):
    link = open_editor(format="e4m3fn", code=0x44)
    formula = page.locator(".bits-formula")
    expect(formula).to_have_text("(−1)0 × 28 − 7 × (1 + 4 / 23) = 3")
    exponent = page.get_by_role("spinbutton", name="exponent field")
    exponent.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(exponent).to_be_focused()
    expect(page.get_by_label("Decimal", exact=True)).to_have_value("6")
    box = page.get_by_role("spinbutton", name="mantissa field").bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 4 - 18, box["y"] + 8, steps=6)
    page.mouse.up()
    _comes_to(page, link, format="e4m3fn", code=0b01001001)
    page.get_by_role("spinbutton", name="sign field").press("ArrowUp")
    expect(page.get_by_label("Decimal", exact=True)).to_have_value("−4.5")


def test_the_exact_value_is_exact(open_editor, page):
    open_editor(format="f32", code=encode("f32", 0.1))
    texts = page.locator(".bits-exact dd").all_inner_texts()
    assert texts[0] == "0.100000001490116119384765625"
    assert float.fromhex(texts[1].replace("−", "-")) == np.float32(0.1)
    assert texts[2].startswith("13421773/134217728 = 13421773")


def test_the_table_is_what_python_says(open_editor, page):
    compare = ["f32", "bf16", "e4m3fn", "posit8", "int4", "nf4", "lns4.3", "e8m0"]
    open_editor(format="f32", code=encode("f32", -math.e), compare=compare)
    rows = page.locator(".bits-table tbody tr")
    for i, row in enumerate(BitEditor(code=encode("f32", -math.e), compare=compare).rows()):
        cells = rows.nth(i).locator("td").all_inner_texts()
        assert int(cells[2], 16) == row["code"]
        assert cells[3].replace(" ", "").replace("\n", "") == row["bits"]
        value = float(cells[0].replace("−", "-"))
        assert value == pytest.approx(row["value"], rel=1e-8, nan_ok=True)


def test_a_block_is_rescaled_by_its_scale(open_editor, page, shoot):
    link = open_editor(format="e2m1", code=5)
    page.get_by_label("Scheme").select_option("mxfp4")
    example = BitEditor(format="e2m1", code=5, block="mxfp4")
    _comes_to(page, link, **example.state)
    shoot(f"bits-{open_editor.host}-block")
    cells = page.locator(".bits-element b")
    texts = [text.replace("−", "-") for text in cells.all_inner_texts()]
    assert [float(text) for text in texts] == example.values()
    page.get_by_role("group", name="Bits of the scale").locator(".bits-cell").last.focus()
    page.keyboard.press("ArrowUp")
    doubled = [float(text.replace("−", "-")) for text in cells.all_inner_texts()]
    assert doubled == [2 * value for value in example.values()]
    page.locator(".bits-element").nth(3).click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    group = page.get_by_role("group", name="Bits of the chosen element")
    group.locator(".bits-cell").first.click()
    elements = list(example.elements)
    elements[4] = encode("e2m1", math.inf)
    code = code_in(wb.format("e2m1"), example.values()[4])
    stepped = wb.format("e2m1").values
    at = np.searchsorted(stepped, decode("e2m1", code)) + 1
    elements[4] = encode("e2m1", stepped[at]) ^ 0b1000
    state = {**example.state, "scale": example.scale + 1, "elements": elements}
    _comes_to(page, link, **state)
    page.get_by_text("Python that redoes this").click()
    assert page.locator(".bits-details pre").inner_text() == BitEditor(**state).python()


STATES = [
    {"format": "e4m3fn", "code": 0x44},
    {"format": "posit8(es=1)", "code": 0x91, "compare": ["f32", "posit8(es=1)"]},
    {"format": "int4", "code": 9, "theme": "dark", "compare": ["bf16"]},
    {"format": "nf4", "code": 3, "block": "nvfp4", "scale": 0x3A, "elements": [*range(16)]},
    {"block": "mxint8"},
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: str(state)[:24])
def test_a_reopened_link_gives_the_same_state(open_editor, page, state):
    link = open_editor(**state)
    page.get_by_role("button", name="+1 ulp").click()
    page.wait_for_timeout(400)
    moved = BitEditor.from_link(link())
    assert moved.state != BitEditor(**state).state
    open_editor(**moved.state)
    assert int(_bits(page), 2) == moved.code
    shown = page.locator(".bits-table tbody th").all_inner_texts()
    assert shown == moved.compare
    if moved.block:
        codes = page.locator(".bits-element small").all_inner_texts()
        assert [int(code, 2) for code in codes] == moved.elements
    assert page.locator(".bits-editor").get_attribute("data-theme") == moved.theme


BROKEN_FRAGMENTS = ["f=x9", "z=1", "f=%zz", "f=e4m3fn&c=0x144", "c=zz", "x=", "b=mxfp4&e=0",
                    "b=int8"]  # fmt: skip


@pytest.mark.parametrize("fragment", BROKEN_FRAGMENTS)
def test_a_malformed_fragment_is_said_and_the_file_opens(page, console, file, fragment):
    page.goto(f"{file.as_uri()}#{fragment}")
    expect(page.get_by_role("alert").first).to_contain_text("→")
    assert _bits(page) == f"{0x40490FD0:032b}"


def test_a_malformed_link_is_said_and_the_page_opens(page, console, served):
    page.goto(f"{served.links['Page bit_editor']}?format=e4m3nf", timeout=120_000)
    expect(page.get_by_role("alert").first).to_contain_text("→", timeout=60_000)
    assert _bits(page) == f"{0x40490FD0:032b}"


@pytest.mark.parametrize("code", ["0x44", "68", "0b1000100"])
def test_a_fragment_writes_codes_as_python_does(page, console, file, code):
    page.goto(f"{file.as_uri()}#f=e4m3fn&c={code}")
    assert int(_bits(page), 2) == BitEditor.from_link(f"#f=e4m3fn&c={code}").code == 0x44


def test_the_file_follows_a_typed_fragment_and_asks_for_nothing(page, console, record, file):
    page.goto(f"{file.as_uri()}#f=e2m1&c=0x5")
    page.evaluate("() => { location.hash = '#f=int4&c=0xf'; }")
    expect(page.get_by_label("Decimal", exact=True)).to_have_value("−1")
    assert [address for address in record.requests if not address.startswith("file:")] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_enough_contrast_and_every_control_a_name(
    page, console, file, theme, control_names
):
    state = {"block": "mxfp4", "theme": theme, "format": "posit8", "code": 0x52}
    page.goto(file.as_uri() + BitEditor(**state).hash())
    assert page.evaluate(CONTRAST) >= 4.5
    named = control_names()
    assert len(named) > 60
    assert "" not in named


# The lowest contrast between a text's colour and the flat colours under it, patterns at their
# densest being laid over them.
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const over = (top, under) => {
    const alpha = top[3] ?? 1;
    return under.map((part, i) => alpha * top[i] + (1 - alpha) * part);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    const parents = [];
    for (let one = node; one; one = one.parentElement) parents.unshift(getComputedStyle(one));
    return parents.reduce((under, style) => {
      const flat = over(parse(style.backgroundColor), under);
      const pattern = style.backgroundImage.match(/rgba\\([^)]*\\)/g);
      return pattern ? over(parse(pattern[0]), flat) : flat;
    }, [255, 255, 255]);
  };
  const worst = [...document.querySelectorAll('.bits-editor *')].filter((node) =>
    node.checkVisibility() && [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .map((node) => {
      const [a, b] = [light(parse(getComputedStyle(node).color).slice(0, 3)), light(ground(node))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    });
  return Math.min(...worst);
}"""
