"""The table of methods: rows that are kept, columns that are named, reasons below the table."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.quantizers import Recipe
from workbench.quantizers.papers import PAPERS, Paper
from workbench.studies import method_table
from workbench.studies.method_table import markdown, method_rows, subject_named

FEW = (
    Paper("nearest", Recipe.parse("w=int4/g32"), "nothing"),
    Paper("impossible", Recipe.parse("w=int2/g32 wide_groups(rows=7)"), "bands that do not fit"),
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    kept = tmp_path_factory.mktemp("rows") / "rows.json"
    told: list[str] = []
    found = method_rows(["reference"], kept, told.append, FEW)
    return kept, found, told


def test_a_row_is_what_the_recipe_gives_on_the_model(rows):
    _, found, told = rows
    plain, refused = found
    value, low, high, bits, _ = subject_named("reference").of(FEW[0].recipe)
    assert (plain["value"], plain["low"], plain["high"]) == (value, low, high)
    assert low < value < high
    assert plain["bits"] == bits == 5.0
    assert plain["seconds"] > 0
    assert refused["value"] is None
    assert "bands of 7 rows" in refused["refused"]
    assert told[0] == "reference: calibrating"
    assert "nearest" in told[1]


def test_some_blocks_alone_are_quantized_and_tuned():
    subject = replace(subject_named("reference"), only=("layers.1.*",))
    whole = subject_named("reference").of(Recipe.parse("w=int3/channel"))[0]
    alone = subject.of(Recipe.parse("w=int3/channel"))[0]
    tuned = subject.of(Recipe.parse("w=int3/channel distill(train=biases,steps=8) seed=2"))[0]
    assert alone < 0.5 * whole
    assert tuned != alone


def test_rows_that_are_kept_are_not_measured_again(rows):
    kept, found, _ = rows
    told: list[str] = []
    assert method_rows(["reference"], kept, told.append, FEW) == found
    assert not told
    assert json.loads(kept.read_text()) == found
    changed = Paper("nearest", Recipe.parse("w=int8/channel"), "more bits")
    again = method_rows(["reference"], kept, told.append, [changed])
    assert len(again) == 3
    assert again[2]["value"] < again[0]["value"]


def test_the_table_has_all_figures_and_the_reasons_below(rows):
    text = markdown(rows[1])
    lines = text.splitlines()
    first = next(line for line in lines if line.startswith("| nearest"))
    assert f"{rows[1][0]['value']:.3g} (" in first
    assert "`w=int4/g32`" in first
    assert "refused (1)" in text
    assert lines[-1].startswith("1. layers.0")
    assert "in nats a token" in text


def test_what_is_no_table_is_refused(tmp_path, capsys):
    bad = tmp_path / "rows.json"
    bad.write_text("{}")
    with pytest.raises(WorkbenchError):
        subject_named("reference-twn")
    bad.write_text("nothing")
    with pytest.raises(WorkbenchError, match="holds no rows"):
        method_rows([], bad)
    assert main(["papers", "--rows", "x.json"]) == 2
    assert "write --table --rows x.json" in capsys.readouterr().err
    assert main(["papers", "--table", "nothing"]) == 2


def test_every_method_has_a_place_in_the_table():
    assert len(PAPERS) >= 24
    assert set(method_table.SUBJECTS) >= {"reference", "smollm2"}
