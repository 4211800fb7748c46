"""`import workbench` is lean: the heavy libraries are imported only when used."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"torch", "panel", "bokeh", "plotly", "numba", "scipy", "ipywidgets", "pandas"}
HEAVY |= {"transformers", "tokenizers", "onnx", "gguf"}


def test_import_brings_nothing_heavy():
    code = "import sys, workbench; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_the_public_names_are_few():
    import workbench

    assert len([name for name in dir(workbench) if not name.startswith("_")]) <= 25
