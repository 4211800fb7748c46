"""The README's tables are written by a command, in place and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models import tables
from workbench.models.recipe_table import RECIPES, Protocol, recipe_rows

ROW = {"recipe": "w=int4/g32", "bits": 4.5, "loss": 1.6, "perplexity": 4.953, "kl": 0.02}
ROW |= {"kl_low": 0.019, "kl_high": 0.021, "agreement": 0.9}


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


def test_rows_have_units_and_intervals():
    line = tables.markdown([ROW]).splitlines()[-1]
    expected = "| `w=int4/g32` | 4.50 | 1.6000 | 4.953 | 0.02000 (0.01900 to 0.02100) | 90.00 % |"
    assert line == expected
    row = {"recipe": "w=int8", "bits": 8.0, "cosine": 0.99, "cosine_low": 0.98}
    row |= {"cosine_high": 0.995, "retrieval": 0.5}
    assert tables.markdown([row]).splitlines()[-1].endswith("(0.98000 to 0.99500) | 50.0 % |")
    refused = tables.markdown([ROW, {"recipe": "equalize w=int8", "refused": "why"}])
    assert refused.splitlines()[-1].count("|") == 7


def test_a_recipe_that_is_refused_says_why_in_its_row():
    model, text = models.open_model("reference"), models.held_out_text()
    protocol = Protocol(text[:600], text[-600:], 600, 256, "a little text")
    rows = recipe_rows(model, ["w=int4/g32 gptq", "equalize w=int8"], protocol)
    assert [row["recipe"] for row in rows] == ["float", "w=int4/g32 gptq", "equalize w=int8/tensor"]
    assert rows[0]["kl"] == 0
    assert rows[1]["kl_low"] < rows[1]["kl"] < rows[1]["kl_high"]
    assert "no linear layer writes these inputs" in rows[2]["refused"]


def test_the_list_names_every_model():
    lines = tables.main_list().splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["reference", "reference-twin", "smollm2"]
    assert "workbench models get" in lines[-1]


def readme_tables():
    """What the command wrote: the KL or the cosine of every recipe, a dict a model."""
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    found: dict[str, dict[str, float]] = {}
    for line in text.partition(tables.BEGIN)[2].partition(tables.END)[0].splitlines():
        cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
        if line.startswith("**"):
            rows = found.setdefault(line.split("**")[1], {})
        elif len(cells) in (4, 6) and "(" in cells[-2] and cells[0] != "float":
            rows[cells[0]] = float(cells[-2].partition("(")[0])
    return found


@pytest.mark.parametrize("name", ["reference", "reference-twin", "smollm2"])
def test_the_readme_has_every_recipe_and_bits_help(name):
    kl = readme_tables()[name]
    assert set(kl) == set(RECIPES)
    assert kl["w=int8/channel"] < kl["w=int4/g32"] < kl["w=int3/g32"] < kl["w=int2/g32"]
    assert kl["w=int4/g32 gptq"] < kl["w=int4/g32"]


def test_the_readme_shows_what_the_twin_is_for():
    kl = readme_tables()["reference-twin"]
    plain = kl["w=int8/channel a=int8/tensor"]
    assert kl["smooth w=int8/channel a=int8/tensor"] < 0.1 * plain
    assert kl["w=int8/channel a=int8/token outlier_columns"] < 0.1 * plain


def test_the_readme_has_the_encoder_too():
    cosine = readme_tables()["minilm"]
    assert set(cosine) == set(RECIPES)
    assert cosine["w=int8/channel"] > cosine["w=int4/g32 gptq"] > cosine["w=int4/g32"]
    assert cosine["hadamard w=int4/g32 a=int4/token"] > cosine["w=int4/g32 a=int4/token"]
