"""The model page in a real browser: the way from the model to one value, by mouse and by key."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect
from safetensors.numpy import save_file

pytestmark = pytest.mark.browser

TOOLS = """() => {
  window.all = (root) => [...root.querySelectorAll('*')].flatMap(
    (node) => [node, ...(node.shadowRoot ? window.all(node.shadowRoot) : [])]);
  window.plots = () => window.all(document).filter((node) => node.matches('.js-plotly-plot'));
  const maps = () => window.plots().filter((node) => node.data.some((d) => d.type === 'heatmap'));
  const heat = (node) => node.data.find((d) => d.type === 'heatmap');
  window.sensitivity = () => maps().find((node) => heat(node).customdata);
  window.outliers = () => maps().find((node) => !heat(node).customdata);
  window.helps = () => window.plots().find((node) => node.data.some((d) => d.name === 'SQNR'));
  window.worst = () => {
    const node = window.sensitivity(), z = heat(node).z, found = heat(node).customdata;
    let best = [0, 0];
    z.forEach((row, i) => row.forEach((v, j) => { if (v > z[best[0]][best[1]]) best = [i, j]; }));
    return { layer: found[best[0]][best[1]][0], ...window.spot(node, best[1], best[0]) };
  };
  window.spot = (node, x, y) => {
    node.scrollIntoView({ block: 'center' });
    const box = node.getBoundingClientRect(), axes = node._fullLayout;
    return { x: box.left + axes.xaxis._offset + axes.xaxis.c2p(x),
             y: box.top + axes.yaxis._offset + axes.yaxis.c2p(y) };
  };
}"""
MEASURED = "(count) => window.helps()?.data[0].x.filter((x) => x !== null).length >= count"
MARKS = "() => window.helps().data.map((trace) => Array.from(trace.x))"


def _query(page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def _open(page, served, query: str = "") -> None:
    page.goto(f"{served.links['Page model_explorer']}{query}", timeout=120_000)
    page.evaluate(TOOLS)
    page.wait_for_function("() => window.outliers() && window.helps()", timeout=120_000)


def test_the_worst_layer_its_worst_channel_a_transform_and_a_value(served, page, console, shoot):
    _open(page, served)
    expect(page.get_by_text("Outliers found in what the model read")).to_be_visible()
    page.wait_for_function(
        "() => window.sensitivity()?.data.filter((d) => d.type === 'heatmap').length === 2",
        timeout=120_000,
    )
    shoot("model-page")
    worst = page.evaluate("() => window.worst()")
    page.mouse.click(worst["x"], worst["y"])
    page.wait_for_function("() => location.search.includes('layer=')")
    assert _query(page)["layer"] == worst["layer"]
    page.wait_for_function(MEASURED, arg=5, timeout=60_000)

    at = page.evaluate("() => window.spot(window.outliers(), 0, 40)")
    page.mouse.move(at["x"] - 1, at["y"])
    page.mouse.down()
    page.mouse.move(at["x"] + 3, at["y"] + 30, steps=4)
    page.mouse.up()
    page.wait_for_function("() => location.search.includes('channels=')")
    page.wait_for_function(MEASURED, arg=6, timeout=60_000)
    channel = _query(page)["channels"]
    labels = page.evaluate("() => Array.from(window.helps().data[0].y)")
    assert labels[1] == f"channel {channel} in 16 bits"
    page.wait_for_function(
        "() => window.helps().data[2].x.filter((x) => x !== null).length === 6", timeout=60_000
    )
    errors, shares, _ = page.evaluate(MARKS)
    assert errors[1] > errors[0]

    page.get_by_role("button", name="smooth, hadamard").click()
    page.wait_for_function("() => location.search.includes('transform=')")
    expect(page.get_by_text("after smooth, hadamard").first).to_be_attached()
    page.wait_for_function("() => window.helps().data[0].marker.symbol[4] === 'circle'")
    assert errors[4] > errors[0]
    assert shares[4] is not None
    shoot("model-page-smoothed")

    at = page.evaluate("() => window.spot(window.outliers(), 0, 10)")
    page.mouse.click(at["x"], at["y"])
    expect(page.get_by_text("See its bits")).to_be_visible()
    page.wait_for_function("() => location.search.includes('place=')")
    assert _query(page)["place"].endswith(f",{channel}")
    shoot("model-page-value")
    address = page.url
    page.goto(address)
    page.evaluate(TOOLS)
    page.wait_for_function("() => window.outliers()", timeout=60_000)
    assert json.dumps(_query(page)) == json.dumps(
        {key: values[0] for key, values in parse_qs(urlsplit(address).query).items()}
    )
    expect(page.get_by_text("See its bits")).to_be_visible()


def test_the_page_is_worked_by_key_and_every_control_has_a_name(
    served, page, console, control_names
):
    _open(page, served, "?model=reference&theme=dark")
    page.get_by_label("Layer", exact=True).select_option("layers.2.mlp.up_proj")
    page.wait_for_function("() => location.search.includes('layers.2.mlp.up_proj')")
    field = page.get_by_label("Recipe of every layer")
    field.fill("w=int99")
    field.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("1 to 16 bits")
    field.fill("w=int3/g32")
    field.press("Enter")
    page.wait_for_function("() => location.search.includes('recipe=')")
    names = control_names()
    assert len(names) > 12
    assert "" not in names


def test_a_model_that_does_not_run_has_its_tensors_offered(served, page, console, tmp_path):
    import numpy as np

    path = tmp_path / "unknown.safetensors"
    save_file({"a.weight": np.ones((4, 8), np.float32)}, path)
    page.goto(f"{served.links['Page model_explorer']}?model={path}", timeout=120_000)
    expect(page.get_by_role("alert").first).to_be_visible(timeout=60_000)
    link = page.get_by_role("link", name="a.weight")
    expect(link).to_be_visible()
    assert "format_explorer?source=file" in link.get_attribute("href")
