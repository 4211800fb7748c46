"""Public functions and classes are documented, and the examples of `workbench.widgets` run.

The examples of the other packages are run by pytest itself (`--doctest-modules`).
"""

from __future__ import annotations

import ast
import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [*sorted(ROOT.glob("workbench/**/*.py")), *sorted(ROOT.glob("widgets/**/*.py"))]
WIDGETS = sorted(path for path in ROOT.glob("widgets/*.py") if path.stem != "__init__")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(body: list[ast.stmt]) -> Iterator[Definition]:
    """The public functions, classes and methods among some statements."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def test_public_names_are_documented():
    names = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": ast.get_docstring(node)
        for path in SOURCES
        for node in public(ast.parse(path.read_text(encoding="utf-8")).body)
    }
    bare = [name for name, text in names.items() if not text]
    assert len(bare) <= 0.05 * len(names), bare


@pytest.mark.parametrize("path", WIDGETS, ids=lambda path: path.stem)
def test_the_examples_of_the_widgets_run(path):
    module = importlib.import_module(f"workbench.widgets.{path.stem}")
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(module, optionflags=flags).failed == 0
