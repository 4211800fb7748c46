"""`make lab` and `make serve` as a newcomer meets them, in a real browser."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from workbench.apps import launch

pytestmark = pytest.mark.browser
NOTEBOOK = Path(__file__).parents[2] / launch.START
CODE_CELLS = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell"
STARTED = re.compile(r"[\d*]")
KERNEL_READY = "Python 3 (ipykernel) | Idle"
NUMBERED = re.compile(r"\d+")
PAGES = [page.stem for page in launch.pages()]


def test_the_start_notebook_runs_from_top_to_bottom_in_jupyterlab(lab, page):
    before = NOTEBOOK.read_bytes()
    page.route("**/api/contents/**", _never_save)
    page.goto(lab.links["Notebook"])
    page.locator(CODE_CELLS).first.wait_for()
    expect(page.locator("#jp-main-statusbar")).to_contain_text(KERNEL_READY, timeout=120_000)
    _run_all(page)
    shown = _walk_cells(page)
    assert not [cell for cell in shown if cell["error"]]
    assert sum(cell["figures"] for cell in shown) >= 1
    assert all(cell["drawn"] == cell["figures"] for cell in shown)
    assert NOTEBOOK.read_bytes() == before


@pytest.mark.parametrize("name", PAGES)
def test_a_panel_page_draws_beside_the_notebook(lab, page, name):
    page.goto(lab.links[f"Page {name}"], timeout=120_000)
    _figure_is_drawn(page)


@pytest.mark.parametrize("name", PAGES)
def test_a_panel_page_draws_when_served_alone(served, page, name):
    page.goto(served.links[f"Page {name}"])
    _figure_is_drawn(page)


def test_the_front_of_the_served_pages_leads_to_one(served, page):
    page.goto(next(iter(served.links.values())).rpartition("/")[0] + "/")
    assert page.locator("body").inner_text()


def _never_save(route) -> None:
    """The notebook on disk stays as committed: what JupyterLab would save is refused."""
    if route.request.method in {"PUT", "PATCH"}:
        route.abort()
    else:
        route.fallback()


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


def _walk_cells(page) -> list[dict]:
    """Wait for each code cell in turn, and say what it shows: errors, figures, figures drawn."""
    shown = []
    for index in range(page.locator(CODE_CELLS).count()):
        cell = page.locator(CODE_CELLS).nth(index)
        expect(cell.locator(".jp-InputPrompt").first).to_have_text(NUMBERED, timeout=180_000)
        cell.scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        shown.append(cell.evaluate(_LOOK))
    return shown


def _figure_is_drawn(page) -> None:
    page.locator(".js-plotly-plot .main-svg .xtick").first.wait_for(
        state="attached", timeout=60_000
    )


_LOOK = """cell => ({
    error: cell.querySelector('[data-mime-type="application/vnd.jupyter.error"]')?.textContent,
    figures: cell.querySelectorAll('.js-plotly-plot').length,
    drawn: [...cell.querySelectorAll('.js-plotly-plot')]
        .filter((plot) => plot.querySelector('.main-svg .xtick')).length,
})"""
