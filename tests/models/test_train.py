"""Training is reproducible: clean text, a fixed split, a resumable run with the same bits."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from workbench.errors import WorkbenchError
from workbench.models import train_data, train_export, train_optimizer
from workbench.models.reference import ReferenceConfig
from workbench.models.train_reference import Settings, draw, initialize, train

SMALL = ReferenceConfig(layers=1, width=16, hidden=32, heads=2, context=32)
TEXT = b"To be, or not to be, that is the question.\n" * 40
CORPUS = train_data.Corpus(TEXT, TEXT[::-1], TEXT, TEXT, TEXT)


def test_no_edition_of_the_held_out_plays_is_trained_on():
    stems = ["hamlet_gut", "hamlet_gut_f", "macbeth_gut", "macbeth_gut_f", "lear_gut", "lear_gut_f"]
    corpus = train_data.split({stem: stem.encode() for stem in stems})
    assert (corpus.modern, corpus.folio) == (b"lear_gut", b"lear_gut_f")
    assert (corpus.validation, corpus.held_out) == (b"macbeth_gut", b"hamlet_gut")


def test_the_shipped_held_out_text_is_clean(tmp_path):
    from workbench import models

    text = models.held_out_text()
    assert text.startswith(b"HAMLET, PRINCE OF DENMARK\n\nby William Shakespeare\n")
    assert text.isascii()
    assert not set(b"\r\t<>") & set(text)
    assert b"\n\n\n" not in text
    assert b" \n" not in text


def test_an_archive_with_another_checksum_is_refused(tmp_path):
    (tmp_path / train_data.ARCHIVE).write_bytes(b"something else")
    with pytest.raises(WorkbenchError, match="SHA-256"):
        train_data.fetch(tmp_path)


def test_a_step_draws_the_same_windows_whenever_it_runs():
    settings = Settings(batch=3)
    first, again, other = (draw(CORPUS, step, settings, 32) for step in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (3, 33)


def test_orthogonalizing_brings_singular_values_together():
    matrices = torch.randn(3, 8, 12, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(train_optimizer.orthogonalize(matrices))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_blocks_get_muon_and_the_rest_adam():
    muon, adam = train_optimizer.build(initialize(SMALL, 0), 0.02, 3e-3)
    assert len(muon.param_groups[0]["params"]) == 7
    assert len(adam.param_groups[0]["params"]) == 5


def test_a_resumed_run_ends_with_the_same_bits_and_learns(tmp_path):
    settings = Settings(steps=4, batch=2, warmup=1)
    whole = train(CORPUS, settings, tmp_path / "whole", SMALL, every=2)
    train(CORPUS, settings, tmp_path / "parts", SMALL, every=2, stop=2)
    parts = train(CORPUS, settings, tmp_path / "parts", SMALL, every=2)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, parts.state_dict()[name]), name
    lines = (tmp_path / "parts" / "curve.jsonl").read_text().splitlines()
    curve = [json.loads(line) for line in lines]
    assert [row["step"] for row in curve] == [2, 4]
    assert curve[-1]["train"] < curve[0]["train"] < np.log(256) + 0.1


def test_export_writes_what_the_package_ships(tmp_path):
    from safetensors.numpy import load_file

    model = initialize(SMALL, 0)
    train_export.export(model, CORPUS, asdict(Settings()), [{"step": 1, "seconds": 2}], tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "held_out.txt",
        "recipe.json",
        "reference.safetensors",
    ]
    assert set(load_file(tmp_path / "reference.safetensors")) == set(model.state_dict())
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    assert recipe["curve"] == [{"step": 1}]
    assert abs(recipe["losses"]["held_out"] - np.log(256)) < 0.01
