"""The method matrix: cells that are right, methods that are found, a state that is a link."""

from __future__ import annotations

import pytest

from workbench.errors import WorkbenchError
from workbench.explorers import MethodMatrix
from workbench.explorers import method_matrix as matrix_of
from workbench.explorers.method_matrix import WHOLE, subject_of
from workbench.quantizers.papers import PAPERS
from workbench.studies.crossing import Crossing

TWIN, QUERY = "reference-twin", "layers.1.self_attn.q_proj"
BASE = "w=int4/channel a=int8/token"


@pytest.fixture
def few(monkeypatch):
    """A matrix of few pairs and three methods, so that all of it takes seconds."""
    monkeypatch.setattr(matrix_of, "TRANSFORMS", ("", "smooth", "equalize"))
    monkeypatch.setattr(matrix_of, "SOLVERS", ("nearest", "gptq"))
    chosen = [paper for paper in PAPERS if paper.name in ("GPTQ", "SmoothQuant", "COMET")]
    monkeypatch.setattr(matrix_of, "PAPERS", tuple(chosen))
    return MethodMatrix(model=TWIN, layer=QUERY, base=BASE)


def test_cells_come_in_the_background_the_chosen_one_first(few):
    few.set(transform="smooth", solver="gptq")
    told: list[tuple[str, ...]] = []
    few.refine(lambda names: told.append((names, len(few.cells))))
    assert few.wait(120)
    cells = {(cell.transform, cell.solver): cell for cell in few.cells}
    assert set(cells) == set(few.crossing.pairs)
    assert len(few.methods) == 3
    subject = subject_of(few.opened, QUERY)
    made = few.recipe.apply(subject.layer, subject.known)
    found = cells["smooth", "gptq"]
    assert found.value == pytest.approx(made.error(subject.layer, subject.held_out), rel=1e-6)
    assert found.value < cells["smooth", "nearest"].value < cells["", "nearest"].value
    assert cells["equalize", "nearest"].refused
    assert {name for names, _ in told for name in names} == {"crossing_map", "published_methods"}
    before = len(few._cells)
    assert not list(few._measure())
    assert len(few._cells) == before


def test_the_sentence_says_whose_parts_they_are_and_what_each_does_alone(few):
    few.rows()
    few.set(transform="smooth", solver="gptq")
    words = few.sentence()
    assert "smooth w=int4/channel gptq a=int8/token" in words
    assert "without smooth" in words
    assert "SmoothQuant has these transforms" in words
    assert "GPTQ has this solver" in words
    few.set(transform="equalize", solver="nearest")
    assert "makes no sense" in few.sentence()
    few.set(base="w=int3/channel")
    assert "still to be measured" in few.sentence()


def test_a_method_s_parts_are_taken_also_where_the_matrix_does_not_have_them(few):
    assert few.take("GPTQ") == ""
    assert few.solver == "gptq(act_order=true)"
    assert few.crossing.solvers[-1] == "gptq(act_order=true)"
    assert "COMET" in str([paper.name for paper, _ in few.methods]) or few.take("COMET") == ""
    assert few.transform == "sort"
    assert "no published method has this name" in few.take("COMMET")


def test_a_whole_model_is_measured_by_what_it_loses():
    matrix = MethodMatrix(model="reference", layer=WHOLE, base="w=int4/g32")
    subject = matrix.subject
    value, low, high, bits, _ = subject.of(Crossing("w=int4/g32").recipe("", "nearest"))
    assert subject.figure == "KL to float"
    assert 0 < low < value < high
    assert bits == 5.0


def test_a_state_is_a_link_and_what_cannot_be_is_refused():
    matrix = MethodMatrix(model=TWIN, layer=QUERY, transform="hadamard", solver="clip")
    assert MethodMatrix.from_link(matrix.link()).state == matrix.state
    before = matrix.state
    for change in (
        {"base": "smooth w=int4"}, {"transform": "gptq"}, {"solver": "smooth"},
        {"solver": "gptk"}, {"model": "nothing"},
    ):  # fmt: skip
        assert matrix.set(**change)
        assert matrix.state == before
    matrix.open()
    assert "layers.9" in matrix.set(layer="layers.9.x")
    assert matrix.state == before
    with pytest.raises(WorkbenchError):
        MethodMatrix(base="float")
    assert "MethodMatrix(layer='layers.1.self_attn.q_proj'" in matrix.code()
    other = MethodMatrix(model=TWIN, layer="layers.9.x")
    assert other.chosen_layer in other.opened.layers
    assert "layers.9.x" in other.problem
