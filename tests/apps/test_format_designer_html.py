"""The designer's file is one file, whole or not there, and asks nothing of the network."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from workbench.apps.format_designer_html import format_designer_html, write_format_designer
from workbench.errors import WorkbenchError
from workbench.explorers.format_designer import FormatDesigner

SMALL = "synthetic:gaussian,4096,0"
STATE = {"source": SMALL, "kind": "integer", "width": 3, "theme": "dark"}


@pytest.fixture(scope="module")
def text() -> str:
    return format_designer_html(FormatDesigner(**STATE), ["tensor"], [2])


def test_plotly_is_inlined_once_and_nothing_is_loaded(text):
    own = re.sub(r"<script>/\*\*.*?</script>", "", text, count=1, flags=re.DOTALL)
    assert text.count("plotly.js v") == 1
    assert "default-src 'none'" in text
    assert not re.search(r"https?://", own)
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\(", own)


def test_the_file_opens_on_its_state_with_what_that_needs(text):
    data = json.loads(re.search(r"const SUPPLIES = (.*?);</script>", text, re.DOTALL)[1])
    assert data["start"] == json.loads(json.dumps(FormatDesigner(**STATE).state))
    assert list(data["shared"]) == ["tensor", "g32"]
    assert 'data-theme="dark"' in text


def test_a_name_cannot_end_the_script(tmp_path):
    name = "</script><script>alert(1)</script>"
    save_file({name: np.ones((4, 32), np.float32)}, tmp_path / "m.safetensors")
    designer = FormatDesigner(source=f"file:{tmp_path / 'm.safetensors'}#{name}", schemes=[])
    assert "<script>alert" not in format_designer_html(designer, ["tensor"], [1])


def test_the_file_is_written_whole(tmp_path):
    path = write_format_designer(tmp_path / "d.html", STATE, ["tensor"], [2])
    assert path.read_text("utf-8").endswith("</html>")
    assert [p.name for p in tmp_path.iterdir()] == ["d.html"]


@pytest.mark.parametrize(
    ("state", "granularities"),
    [
        ({"source": "weight:nothing"}, ["tensor"]),
        ({"source": SMALL, "width": 99}, ["tensor"]),
        ({"source": SMALL, "granularity": "g32@mse"}, ["tensor"]),
        ({"source": SMALL}, ["rows"]),
    ],
)
def test_what_cannot_be_written_leaves_nothing_and_spoils_nothing(tmp_path, state, granularities):
    path = tmp_path / "d.html"
    path.write_text("before")
    with pytest.raises(WorkbenchError):
        write_format_designer(path, state, granularities, [2])
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["d.html"]


@pytest.mark.parametrize("name", ["nowhere/d.html", "/proc/d.html"])
def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path, name):
    with pytest.raises(WorkbenchError):
        write_format_designer(tmp_path / name, STATE)
