"""Measures that foretell which layers of MiniLM two bits damage, against the damage itself.

Nothing is asserted of where in depth sensitive layers lie: here they are the second matrices of
the feed-forward parts, and in depth the last block, not the first.
"""

from __future__ import annotations

import pytest
from scipy.stats import spearmanr

from workbench import models
from workbench.models.sensitivity import first_order, pruned, quantized, uncorrelated
from workbench.models.watched import Watched, by_block
from workbench.quantizers import Recipe

pytestmark = pytest.mark.real
TWO = Recipe.parse("w=int2/channel")
TOKENS = 128


@pytest.fixture(scope="module")
def model(fetched):
    return models.open_model(fetched("minilm"))


@pytest.fixture(scope="module")
def halves():
    text = models.held_out_text()
    return text[: len(text) // 2], text[len(text) // 2 :]


@pytest.fixture(scope="module")
def truth(model, halves):
    return quantized(Watched(model, halves[1], TOKENS), TWO)


def agreement(found, truth):
    assert list(found) == list(truth)
    return spearmanr(list(found.values()), list(truth.values())).statistic


def test_pruning_ranks_the_layers(model, halves, truth):
    assert agreement(pruned(Watched(model, halves[0], TOKENS), [0.5]), truth) > 0.7


def test_first_order_ranks_the_layers_better(model, halves, truth):
    assert agreement(first_order(Watched(model, halves[0], TOKENS), TWO), truth) > 0.8


def test_neighbours_rank_the_blocks_and_the_end_does_not(model, halves):
    """Correlation with the last outputs only falls with distance, so it ranks blocks backwards."""
    blocks = quantized(Watched(model, halves[1], TOKENS), TWO, by_block(model))
    assert max(blocks, key=blocks.get) == "encoder.layer.5"
    assert agreement(uncorrelated(model, halves[0], tokens=1536), blocks) > 0.7
    assert agreement(uncorrelated(model, halves[0], "last", 1536), blocks) < 0
