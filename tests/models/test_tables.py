"""The README's tables are written by a command, in place and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.models import tables
from workbench.models.evaluate import WEIGHT_SCHEMES

ROW = {"scheme": "int4/g32", "bits": 4.5, "loss": 1.6, "kl": 0.02, "kl_error": 0.001}
ROW |= {"agreement": 0.9}


def test_a_table_replaces_the_one_before(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    for table in ("| first |", "| second |"):
        tables.write_table(path, table)
    assert path.read_text() == f"before\n{tables.BEGIN}\n| second |\n{tables.END}\nafter\n"
    assert [file.name for file in tmp_path.iterdir()] == ["README.md"]


def test_a_file_without_a_place_for_it_is_refused(tmp_path):
    path = tmp_path / "README.md"
    with pytest.raises(WorkbenchError, match="no such file"):
        tables.write_table(path, "x")
    path.write_text("nothing here")
    with pytest.raises(WorkbenchError, match="not marked"):
        tables.write_table(path, "x")
    assert path.read_text() == "nothing here"


def test_rows_have_units_and_uncertainty():
    line = tables.weight_markdown([ROW]).splitlines()[-1]
    assert line == "| `int4/g32` | 4.50 | 1.6000 | 0.02000 ± 0.00100 | 90.00 % |"
    row = ROW | {"model": "reference", "weights": "int8/channel", "activations": "int8/tensor"}
    assert tables.activation_markdown([row]).count("|") == 3 * 7


def test_the_list_names_every_model():
    lines = tables.main_list().splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["reference", "reference-twin", "smollm2"]
    assert "workbench models get" in lines[-1]


def test_the_table_in_the_readme_falls_with_every_bit():
    """What the command wrote: every scheme has a row, and the integers stand in order."""
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    table = text.partition(tables.BEGIN)[2].partition(tables.END)[0]
    kl = {}
    for line in table.splitlines():
        cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
        if len(cells) == 5 and "±" in cells[3]:
            kl[cells[0]] = float(cells[3].partition("±")[0])
    assert set(kl) == set(WEIGHT_SCHEMES)
    assert kl["int8/channel"] < kl["int4/g32"] < kl["int3/g32"] < kl["int2/g32"]
