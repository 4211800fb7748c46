"""`make lab` and `make serve` as a newcomer meets them, in a real browser."""

from __future__ import annotations

import contextlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from workbench.apps import launch
from workbench.explorers.format_explorer import VIEWS

pytestmark = pytest.mark.browser
NOTEBOOK = Path(__file__).parents[2] / launch.START
CODE_CELLS = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell"
STARTED = re.compile(r"[\d*]")
KERNEL_READY = "Python 3 (ipykernel) | Idle"
ERRORS = '[data-mime-type$="jupyter.error"], [data-mime-type$="jupyter.stderr"]'
PAGES = [page.stem for page in launch.pages()]


def test_the_start_notebook_runs_from_top_to_bottom_in_jupyterlab(lab, page):
    before = NOTEBOOK.read_bytes()
    page.route("**/api/contents/**", _never_save)
    page.goto(lab.links["Notebook"])
    page.locator(CODE_CELLS).first.wait_for()
    expect(page.locator("#jp-main-statusbar")).to_contain_text(KERNEL_READY, timeout=120_000)
    _run_all(page)
    assert _walk_cells(page) >= 2 * len(VIEWS) + 1
    assert NOTEBOOK.read_bytes() == before


@pytest.mark.parametrize("name", PAGES)
def test_a_panel_page_draws_beside_the_notebook(lab, page, name):
    page.goto(lab.links[f"Page {name}"], timeout=120_000)
    _page_is_drawn(page)


@pytest.mark.parametrize("name", PAGES)
def test_a_panel_page_draws_when_served_alone(served, page, name):
    page.goto(served.links[f"Page {name}"])
    _page_is_drawn(page)


def test_the_front_of_the_served_pages_leads_to_one(served, page):
    page.goto(next(iter(served.links.values())).rpartition("/")[0] + "/")
    for name in PAGES:
        link = page.get_by_role("link", name=name.replace("_", " "))
        assert link.get_attribute("href").endswith(name)
    page.get_by_role("link").first.click()
    _page_is_drawn(page)


def _never_save(route) -> None:
    """The notebook on disk stays as committed: a save is answered and not carried out."""
    if route.request.method != "PUT":
        return route.fallback()
    changed = datetime.fromtimestamp(NOTEBOOK.stat().st_mtime, UTC).isoformat()
    model = {"name": NOTEBOOK.name, "path": launch.START.as_posix(), "type": "notebook"}
    model |= {"created": changed, "last_modified": changed, "writable": True}
    return route.fulfill(json=model | {"content": None, "format": None, "mimetype": None})


def _run_all(page) -> None:
    """Run > Run All Cells, again where JupyterLab forgot it because it was still connecting."""
    first = page.locator(CODE_CELLS).first.locator(".jp-InputPrompt").first
    for _ in range(6):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        with contextlib.suppress(AssertionError):
            expect(first).to_have_text(STARTED, timeout=10_000)
            return
    raise AssertionError("JupyterLab did not run the notebook")


def _walk_cells(page) -> int:
    """Wait until each code cell has run and drawn all of its figures; how many there are."""
    promised = _figures_promised()
    assert page.locator(CODE_CELLS).count() == len(promised)
    for index, figures in enumerate(promised):
        page.wait_for_function(_RUN_OR_FAILED, arg=[CODE_CELLS, ERRORS, index], timeout=180_000)
        assert page.locator(ERRORS).all_inner_texts() == []
        cell = page.locator(CODE_CELLS).nth(index)
        cell.scroll_into_view_if_needed()
        if figures:
            _see_figures(cell, figures)
    assert page.locator(ERRORS).all_inner_texts() == []
    return sum(promised)


def _see_figures(cell, figures: int) -> None:
    """Scroll to each figure of a cell, as they draw only where they can be seen."""
    panes = cell.locator(".jp-OutputArea-output [role=img], .jp-RenderedPlotly, .js-plotly-plot")
    plots = cell.locator(".js-plotly-plot")
    expect(panes).not_to_have_count(0, timeout=60_000)
    for index in range(figures):
        panes.nth(index).scroll_into_view_if_needed()
        expect(plots.nth(index).locator(".main-svg .trace")).not_to_have_count(0, timeout=60_000)
    expect(plots).to_have_count(figures)


def _figures_promised() -> list[int]:
    """How many figures each code cell of the notebook shows, as its last line says."""
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    last = ["".join(c["source"]).splitlines()[-1] for c in cells if c["cell_type"] == "code"]
    return [
        len(VIEWS) if line.startswith("wb.explore(") else int(line.endswith(".figure"))
        for line in last
    ]


def _page_is_drawn(page) -> None:
    """A figure with traces, or bits to click."""
    page.locator(".js-plotly-plot .main-svg .trace, .bits-cell").first.wait_for(
        state="attached", timeout=60_000
    )


_RUN_OR_FAILED = """([cells, errors, index]) =>
    /\\d/.test(document.querySelectorAll(cells)[index].querySelector('.jp-InputPrompt').textContent)
    || document.querySelector(errors)"""
