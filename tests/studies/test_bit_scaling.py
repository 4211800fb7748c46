"""Small models of two widths and several bits: the law holds, and total bits choose among them."""

from __future__ import annotations

import pytest

from workbench.costs import fit_scaling
from workbench.studies.bit_scaling import best_within, scaling_rows, small_model

BITS = (2, 3, 4, 6, 16)


@pytest.fixture(scope="module")
def rows():
    return scaling_rows([small_model(16), small_model(32)], BITS)


def of(rows, width):
    return [row for row in rows if row["model"] == f"width {width}"]


def test_training_comes_from_its_seed(rows):
    again = small_model.__wrapped__(16)
    assert scaling_rows([again], [2])[0]["loss"] == rows[0]["loss"]


@pytest.mark.parametrize("width", [16, 32])
def test_the_law_goes_through_the_losses(rows, width):
    mine = of(rows, width)
    losses = [row["loss"] for row in mine]
    law = fit_scaling(BITS, losses)
    gain = losses[0] - losses[-1]
    assert gain > 0.05
    assert law.spread < 0.05 * gain
    assert law.c == pytest.approx(losses[-1], abs=0.05 * gain)
    assert 3 < law.b < 9


def test_sizes_are_counted(rows):
    for width in (16, 32):
        inside, outside = 16 * width**2, 2 * 256 * width + 3 * width
        for row in of(rows, width):
            assert row["parameters"] == inside + outside
            scales = 0 if row["bits"] == 16 else 32 * 13 * width
            assert row["blocks"] == inside * row["bits"] + scales
            assert row["total"] == row["blocks"] + 16 * outside


def test_of_as_many_bits_the_wider_model_of_fewer_bits_is_better(rows):
    """Four times the weights at four bits against a quarter of them at sixteen."""
    half = of(rows, 16)[-1]
    best = best_within(rows, half["blocks"] * 1.3, "blocks")
    assert (best["model"], best["bits"]) == ("width 32", 4)
    assert best["loss"] < half["loss"] - 0.02
    assert best_within(rows, 1) is None
    assert best_within(rows, 1e9)["model"] == "width 32"
