"""What a hosted notebook server would build: seen without building it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WANTED = (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8")
TOOL = shutil.which("jupyter-repo2docker", path=str(Path(sys.executable).parent))


def test_the_image_has_no_torch():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.search(r"\[([\w,]+)\]", WANTED)[1].split(",")
    wishes = [wish for extra in extras for wish in project["optional-dependencies"][extra]]
    assert not [wish for wish in wishes + project["dependencies"] if wish.startswith("torch")]


def test_the_image_uses_the_pinned_set():
    pinned = re.search(r"^-c (\S+)$", WANTED, re.MULTILINE)[1]
    assert (ROOT / "binder" / pinned).resolve() == ROOT / "constraints.txt"


@pytest.mark.skipif(TOOL is None, reason="jupyter-repo2docker is not installed")
def test_the_image_is_described_whole():
    command = [TOOL, "--no-build", "--debug", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    for line in (
        'pip install --no-cache-dir -r "binder/requirements.txt"',
        "RUN ./binder/postBuild",
        'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"',
    ):
        assert line in done.stdout + done.stderr
