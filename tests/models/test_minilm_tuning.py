"""Tuning of an encoder, which has hidden states and no predictions."""

from __future__ import annotations

import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.models.distances import distance
from workbench.models.quantize import quantize
from workbench.models.tune import tune_model
from workbench.quantizers.tunings import Distill

pytestmark = pytest.mark.real
TEXT = wb.models.held_out_text()


def test_norms_and_biases_of_an_encoder(fetched):
    encoder = wb.models.open_model(fetched("minilm"))
    windows = encoder.encode(TEXT[:4096])[:512].split(64)
    held_out = encoder.encode(TEXT[-2048:])[None, :128]
    start = quantize(encoder, "w=int4/g64")
    with pytest.raises(WorkbenchError, match="predicts no tokens"):
        tune_model(start, encoder, windows, Distill(loss="kl_top"))
    made = tune_model(start, encoder, windows, Distill("norms+biases", steps=16))
    exact = encoder.hidden(held_out)
    before, after = (distance("mse", exact, one.hidden(held_out)).item() for one in (start, made))
    assert after < 0.9 * before
