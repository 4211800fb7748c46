"""The notebooks: they run from top to bottom, and are committed without outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def _read(path: Path):
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_from_top_to_bottom(path, tmp_path):
    from nbclient import NotebookClient

    notebook = _read(path)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    drawn = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type in ("execute_result", "display_data")
    ]
    assert drawn, "a notebook shows something"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_outputs(path):
    code = [cell for cell in _read(path).cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_first_cell_needs_at_most_three_imports(path):
    first = next(cell for cell in _read(path).cells if cell.cell_type == "code")
    imports = [line for line in first.source.splitlines() if line.startswith(("import", "from"))]
    assert len(imports) <= 3


def test_start_notebook_shows_the_widget_and_a_table_for_readers_without_a_kernel(tmp_path):
    from nbclient import NotebookClient

    notebook = _read(ROOT / "notebooks" / "00_start_here.ipynb")
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"][:1]
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    data = notebook.cells[0].outputs[-1].data
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "SQNR (dB)" in data["text/html"]
