"""Crossed transforms and solvers: every cell is the recipe that one would have applied by hand."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.metrics.bootstrap import ratio_interval
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.studies.crossing import Cell, Crossing, LayerSubject, best, crossed

PAIRS = Crossing("w=int4/channel a=int8/token", ("", "smooth", "equalize"), ("nearest", "gptq"))


@pytest.fixture(scope="module")
def subject():
    random = np.random.default_rng(0)
    rows = random.standard_normal((1024, 32)) @ random.standard_normal((32, 32))
    rows[:, 5] *= 30
    parts = [Calibration.of(part.astype(np.float32)) for part in (rows[:512], rows[512:])]
    return LayerSubject(Layer(np.float32(random.standard_normal((24, 32)))), *parts)


@pytest.fixture(scope="module")
def cells(subject):
    return list(crossed(PAIRS, subject))


def test_every_pair_has_a_figure_or_a_reason(cells, subject):
    assert [(cell.transform, cell.solver) for cell in cells] == PAIRS.pairs
    for cell in cells:
        if cell.transform == "equalize":
            assert cell.value is None
            assert "no linear layer writes these inputs" in cell.refused
            continue
        made = Recipe.parse(cell.recipe).apply(subject.layer, subject.known)
        assert cell.value == pytest.approx(made.error(subject.layer, subject.held_out), rel=1e-6)
        assert cell.low < cell.value < cell.high
        assert cell.bits == made.bits_per_weight
    assert best(cells).value == min(cell.value for cell in cells if cell.value is not None)


def test_cells_name_the_methods_that_have_their_parts(cells):
    names = {(cell.transform, cell.solver): {p.name for p in cell.papers} for cell in cells}
    assert "GPTQ" in names["", "gptq"]
    assert "SmoothQuant" in names["smooth", "nearest"]
    assert "minifloat PTQ" in names["smooth", "gptq"]
    assert "GPTQ" not in names["smooth", "gptq"]


def test_it_stops_when_it_is_asked_to(subject):
    asked = iter([False, True])
    assert len(list(crossed(PAIRS, subject, lambda: next(asked)))) == 1


@pytest.mark.parametrize(
    ("base", "rows", "columns"),
    [
        ("smooth w=int4", ("",), ("nearest",)),
        ("w=int4 gptq", ("",), ("nearest",)),
        ("a=int8", ("",), ("nearest",)),
        ("w=int4", ("gptq w=int4",), ("nearest",)),
        ("w=int4", ("",), ("smooth",)),
        ("w=int4", ("",), ("gptk",)),
    ],
)
def test_what_is_no_crossing_is_refused(base, rows, columns):
    with pytest.raises(WorkbenchError):
        Crossing(base, rows, columns)


def test_an_interval_holds_the_ratio_and_narrows_with_more_parts():
    random = np.random.default_rng(0)
    widths = []
    for count in (20, 2000):
        below = random.random(count) + 1
        value, low, high = ratio_interval(0.5 * below + 0.2 * random.standard_normal(count), below)
        assert low < value < high
        assert low < 0.5 < high
        widths.append(high - low)
    assert widths[1] < 0.2 * widths[0]
    assert ratio_interval(np.zeros(3), np.zeros(3)) == (0, 0, 0)


def test_a_cell_is_a_row_of_a_table():
    row = Cell("", "gptq", "w=int4/g128 gptq", 0.01, 0.009, 0.011, 4.25, 1.0).record()
    assert row["transform"] == "as it is"
    assert "GPTQ" in row["methods"]
    assert row["refused"] is None
