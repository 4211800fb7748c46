"""The method matrix in a real browser: cells fill, a click crosses two methods, a link reopens."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

LAYER = "layers.1.self_attn.q_proj"
TOOLS = """() => {
  const all = (root) => [...root.querySelectorAll('*')].flatMap(
    (node) => [node, ...(node.shadowRoot ? all(node.shadowRoot) : [])]);
  const plots = () => all(document).filter((node) => node.matches('.js-plotly-plot'));
  window.matrix = () => plots().find((node) => node.data.some((d) => d.type === 'heatmap'));
  window.cells = () => window.matrix().data.find((d) => d.type === 'heatmap');
  window.texts = () => window.matrix().data.find((d) => d.name === 'figures');
  window.methods = () => plots().find((node) => node.data.some((d) => d.name === 'bits a weight'));
  window.spot = (row, column) => {
    const node = window.matrix(), axes = node._fullLayout;
    node.scrollIntoView({ block: 'center' });
    const box = node.getBoundingClientRect();
    return { x: box.left + axes.xaxis._offset + axes.xaxis.d2p(column),
             y: box.top + axes.yaxis._offset + axes.yaxis.d2p(row) };
  };
}"""
FILLED = "(count) => window.cells().z.flat().filter((v) => v !== null).length >= count"


def _query(page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def test_a_click_crosses_one_method_s_rotation_with_another_s_solver(served, page, console, shoot):
    page.goto(f"{served.links['Page method_matrix']}?layer={LAYER}", timeout=120_000)
    page.evaluate(TOOLS)
    page.wait_for_function("() => window.matrix() && window.methods()", timeout=120_000)
    page.wait_for_function(FILLED, arg=8, timeout=120_000)
    place = page.evaluate("() => window.spot('hadamard', 'clip')")
    page.mouse.click(place["x"], place["y"])
    page.wait_for_function("() => location.search.includes('transform=hadamard')")
    assert _query(page) | {"solver": "clip", "transform": "hadamard"} == _query(page)
    chosen = page.get_by_text("hadamard w=int4/channel clip a=int8/token:", exact=False)
    expect(chosen).to_be_visible(timeout=60_000)
    expect(page.get_by_text("QuaRot has these transforms", exact=False)).to_be_visible()
    frame = page.evaluate("() => window.matrix().layout.shapes[0]")
    rows, columns = (page.evaluate(f"() => Array.from(window.cells().{a})") for a in "yx")
    assert frame["x0"] + 0.5 == columns.index("clip")
    assert frame["y0"] + 0.5 == rows.index("hadamard")
    page.wait_for_function(
        "() => window.methods().data[0].x.filter((v) => v !== null).length >= 5", timeout=120_000
    )
    shoot("method-matrix")

    page.get_by_label("Parts of a method").select_option("QuaRot")
    page.wait_for_function("() => !location.search.includes('solver=clip')")
    assert _query(page)["transform"] == "hadamard"
    page.get_by_label("Solver of the cell").fill("gptk")
    page.get_by_label("Solver of the cell").press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("gptk")
    address = page.url
    page.goto(address, timeout=120_000)
    page.evaluate(TOOLS)
    page.wait_for_function("() => window.matrix()?.layout.shapes?.length === 1", timeout=120_000)
    assert _query(page)["transform"] == "hadamard"
    assert not console
