"""The report is one file with the true numbers, and asks nothing of the network."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from workbench.apps.report import report_html, write_report
from workbench.errors import WorkbenchError
from workbench.explorers.format_explorer import FormatExplorer

SMALL = "synthetic:gaussian,8192,0"


@pytest.fixture(scope="module")
def explorer() -> FormatExplorer:
    explorer = FormatExplorer(source=SMALL, schemes=["e4m3fn", "int4/tensor"])
    explorer.refine(lambda: None, delay=0)
    assert explorer.wait(60)
    return explorer


@pytest.fixture(scope="module")
def text(explorer) -> str:
    return report_html(explorer)


def _own(text: str) -> str:
    """The report without the library it inlines."""
    return re.sub(r"<script>/\*\*.*?</script>", "", text, count=1, flags=re.S)


def test_plotly_is_inlined_once_and_nothing_is_loaded(text):
    assert text.count("plotly.js v") == 1
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", _own(text))
    assert "connect-src" not in text
    assert "default-src 'none'" in text


def test_fields_in_the_file_are_those_of_the_explorer(text, explorer):
    data = json.loads(re.search(r"const REPORT = (.*?);</script>", text, re.S)[1])
    for field, written in zip(explorer.compute().fields, data["fields"], strict=True):
        counts = np.zeros(field.counts.size)
        counts[written["at"]] = written["counts"]
        assert counts == pytest.approx(field.counts.ravel(), rel=1e-4)
        assert written["budget"] == pytest.approx(field.budget())


def test_captions_tables_code_and_link_are_in_the_file(text, explorer):
    for view in explorer.figures().values():
        assert view.provenance in text
    assert text.count("<table") == 4
    assert "wb.explore(" in text
    assert "source=synthetic" in text


def test_a_name_cannot_end_the_script(tmp_path):
    from safetensors.numpy import save_file

    name = "</script><script>alert(1)</script>"
    save_file({name: np.ones((4, 32), np.float32)}, tmp_path / "m.safetensors")
    source = f"file:{tmp_path / 'm.safetensors'}#{name}"
    text = report_html(FormatExplorer(source=source, schemes=["int8"]))
    assert "<script>alert" not in text


def test_the_file_is_written_whole_or_not_at_all(tmp_path):
    path = write_report(tmp_path / "r.html", SMALL, ["int8"], exact=False)
    assert path.read_text().endswith("</html>")
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]
    with pytest.raises(WorkbenchError, match="mkdir"):
        write_report(tmp_path / "none" / "r.html", SMALL, ["int8"])
