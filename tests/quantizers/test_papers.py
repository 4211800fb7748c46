"""Published methods are data: recipes over parts that name no publication themselves."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from workbench import catalogue
from workbench.quantizers import Recipe, papers
from workbench.quantizers.papers import PAPERS

ROOT = Path(papers.__file__).parent
PARTS = sorted(
    path
    for folder in ("transforms", "solvers", "residuals", "tunings")
    for path in (ROOT / folder).glob("*.py")
)
CONTROL = (
    ast.If, ast.IfExp, ast.For, ast.While, ast.With, ast.Try, ast.FunctionDef, ast.Lambda,
    ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp, ast.BoolOp, ast.Match,
)  # fmt: skip
# algorithms whose name is the field's word for them, and so the name of a part
ALGORITHMS = {"gptq", "adaround", "adaquant", "pv_tuning", "pvtuning"}
NAMES = re.compile(
    r"llm.?fp4|zeroquant|ostquant|smoothquant|quarot|bitmod|comet|mobilequant|cptquant|decoupleq|"
    r"nupes|powerquant|outlier.?suppression|llm\.?int8|int2\.1|gptq|adaround|adaquant|pv.?tuning|"
    r"lorc|awq|eora",
    re.IGNORECASE,
)


def test_recipes_are_written_down_and_nothing_else():
    tree = ast.parse(Path(papers.__file__).read_text("utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, CONTROL)]
    assert not found, [node.lineno for node in found]
    named = [value for value in vars(papers).values() if isinstance(value, papers.Paper)]
    assert set(named) == set(PAPERS)
    assert len(PAPERS) == len({paper.name for paper in PAPERS})


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_a_recipe_is_plain_data_both_ways(paper):
    assert Recipe.from_json(paper.recipe.json()) == paper.recipe
    assert Recipe.parse(str(paper.recipe)) == paper.recipe
    if paper.number is not None:
        assert catalogue.find(paper.number).year > 2015


def words_outside_docstrings(path: Path) -> list[tuple[int, str]]:
    """Names, strings and comments of a file, with their lines, without its docstrings."""
    text = path.read_text("utf-8")
    docstrings = {
        (node.body[0].lineno, node.body[0].end_lineno)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    }
    return [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if not any(first <= token.start[0] <= last for first, last in docstrings)
    ]


def test_no_part_names_a_publication_outside_its_docstring():
    named = [
        f"{path.name}:{line}: {word}"
        for path in PARTS
        if path.name != "__init__.py"
        for line, word in words_outside_docstrings(path)
        for match in NAMES.findall(word)
        if match.lower().replace("-", "_") not in ALGORITHMS
    ]
    assert len(PARTS) > 25
    assert not named
