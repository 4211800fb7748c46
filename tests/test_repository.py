"""Habits of the repository that a machine can hold: sizes, clean notebooks, complete packaging."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SKIPPED = {".venv", ".git", "build", "dist", "node_modules", ".hypothesis"}


def files(*suffixes: str) -> list[Path]:
    """The files that git knows or would take in, or every file where this is no checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    found = listed.stdout.split("\0") if listed.returncode == 0 else map(str, ROOT.rglob("*"))
    paths = {ROOT / name for name in found if name}
    return sorted(
        path
        for path in paths
        if path.is_file()
        and not SKIPPED & set(path.relative_to(ROOT).parts)
        and (not suffixes or path.suffix in suffixes)
    )


def test_no_python_file_is_longer_than_400_lines():
    long = {
        str(path.relative_to(ROOT)): count
        for path in files(".py", ".js")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long


def test_every_python_file_says_what_it_is():
    silent = [
        str(path.relative_to(ROOT))
        for path in files(".py")
        if not path.read_text(encoding="utf-8").lstrip().startswith(('"""', "#!", 'r"""'))
    ]
    assert not silent


def test_notebooks_are_kept_without_outputs():
    dirty = []
    for path in files(".ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        if any(cell["outputs"] or cell["execution_count"] for cell in code):
            dirty.append(path.name)
    assert not dirty


def test_no_unfinished_work_is_kept():
    marks = re.compile(r"\b(T" + r"ODO|FIX" + r"ME|X" + r"XX)\b")
    found = [path.name for path in files(".py", ".js") if marks.search(path.read_text("utf-8"))]
    assert not found


def test_no_registry_is_named():
    hosts = re.compile(
        r"(py" + r"pi\.org|python" + r"hosted|registry\.npm" + r"js|download\.py" + r"torch)"
    )
    text = files(
        ".py", ".toml", ".md", ".txt", ".yaml", ".yml", ".json", ".ipynb", ".js", ".cfg", ""
    )
    found = [
        str(path.relative_to(ROOT))
        for path in text
        if "data" not in path.parts and hosts.search(path.read_text("utf-8", errors="replace"))
    ]
    assert not found


def test_every_package_is_declared():
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in files(".py")
        if path.name == "__init__.py"
        and path.relative_to(ROOT).parts[0] in {"workbench", "widgets"}
    }
    folders = {re.sub(r"^widgets", "workbench.widgets", folder) for folder in folders}
    assert folders == set(PROJECT["tool"]["setuptools"]["packages"])


def test_the_extras_have_their_names():
    named = set(PROJECT["project"]["optional-dependencies"])
    assert named == {"notebook", "apps", "models", "cluster", "peers", "dev"}


def test_every_dependency_is_pinned():
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    pinned = {
        _plain(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    names = {_plain(re.match(r"[\w.-]+", wish)[0]) for wish in wanted}
    assert names <= pinned


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("target", ["lab", "serve", "test", "bench", "check", "clean"])
def test_make_has_the_target(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
