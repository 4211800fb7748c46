"""The floors of the house hold: a room imports only from floors below its own.

`broken_floors` reads every import of a source tree, those inside functions too, and lists the ones
that go up, or sideways to a neighbour on the same line. It is itself tried on a broken tree.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (  # from the top down; rooms on one line may not import each other
    ("cli", "hosts"),
    ("catalogue",),
    ("reproductions",),
    ("apps", "widgets"),
    ("explorers", "teaching"),
    ("views",),
    ("studies",),
    ("training",),
    ("models",),
    ("quantizers",),
    ("costs",),
    ("sketches", "metrics", "functions"),
    ("schemes",),
    ("formats",),
    ("kernels",),
    ("errors",),
)
LEVEL = {room: -depth for depth, rooms in enumerate(FLOORS) for room in rooms}
HOSTS = {"panel", "bokeh", "ipywidgets", "IPython", "anywidget", "jupyterlab"}
FORBIDDEN = {"explorers": HOSTS, "views": HOSTS, "kernels": {"plotly", "param", *HOSTS}}


def broken_floors(root: Path) -> list[str]:
    """Every import below `root` that breaks a floor, as `file:line: room imports what`."""
    return [
        f"{path.relative_to(root)}:{line}: {room} imports {target}"
        for path, room, own in _modules(root)
        for line, target in _imports(path, own)
        if _breaks(room, target)
    ]


def _modules(root: Path) -> Iterator[tuple[Path, str, str]]:
    """Each source file with its room and dotted name; the folder widgets/ is a room too."""
    for path in sorted(root.glob("workbench/**/*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield path, _room(parts[1]), ".".join(parts)
    for path in sorted(root.glob("widgets/**/*.py")):
        parts = ("workbench", *path.relative_to(root).with_suffix("").parts)
        yield path, "widgets", ".".join(parts)


def _room(name: str) -> str:
    """The room of a module right under workbench/: leaf modules lie under all floors."""
    return "errors" if name.startswith("_") and name != "__init__" else name


def _imports(path: Path, own: str) -> Iterator[tuple[int, str]]:
    """Every absolute dotted name that a file imports, with its line; submodules one by one."""
    package = own.removesuffix(".__init__") if path.stem == "__init__" else own.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _breaks(room: str, target: str) -> bool:
    first, _, rest = target.partition(".")
    if first != "workbench":
        return first in FORBIDDEN.get(room, ())
    other = _room(rest.partition(".")[0])
    if room == "__init__" or other == room:
        return False
    if other not in LEVEL:  # `import workbench` and its public names, for those on the top floors
        return LEVEL[room] < LEVEL["explorers"]
    return LEVEL[other] >= LEVEL[room]


def test_every_import_goes_down():
    assert broken_floors(ROOT) == []


def test_every_room_has_a_floor():
    found = {room for _, room, _ in _modules(ROOT)} - {"__init__"}
    assert found <= set(LEVEL)


BROKEN = {
    "up": ("workbench/schemes/scale.py", "from workbench.sketches import sketch"),
    "up, inside a function": ("workbench/formats/a.py", "def f():\n    import workbench.schemes"),
    "up, by a relative name": ("workbench/kernels/casts.py", "from ..formats import names"),
    "up, through the root": ("workbench/kernels/b.py", "from workbench import formats"),
    "up, through the public names": ("workbench/schemes/b.py", "import workbench as wb"),
    "sideways": ("workbench/metrics/error.py", "from workbench.sketches import Sketch"),
    "sideways, in the folder widgets": ("widgets/host.py", "from workbench.apps import launch"),
    "a host in an explorer": ("workbench/explorers/formats.py", "import panel as pn"),
    "a host in a view": ("workbench/views/grid.py", "from ipywidgets import HBox"),
    "a leaf that looks up": ("workbench/_leaf.py", "from workbench.kernels import casts"),
}
SOUND = {
    "down": ("workbench/schemes/scale.py", "from workbench.formats import names"),
    "its own room": ("workbench/schemes/scale.py", "from .grammar import parse"),
    "errors, from anywhere": ("workbench/kernels/b.py", "from workbench.errors import nearest"),
    "the root, which re-exports": (
        "workbench/__init__.py",
        "from workbench.sketches import sketch",
    ),
    "a library": ("workbench/kernels/b.py", "import numba"),
    "a host where it belongs": ("workbench/apps/page.py", "import panel as pn"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_floor_is_found(tmp_path, case):
    assert len(broken_floors(_tree(tmp_path, *BROKEN[case]))) == 1


@pytest.mark.parametrize("case", SOUND)
def test_a_sound_import_is_let_be(tmp_path, case):
    assert broken_floors(_tree(tmp_path, *SOUND[case])) == []


def _tree(root: Path, name: str, source: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True)
    path.write_text(source + "\n", encoding="utf-8")
    return root
