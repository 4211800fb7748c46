"""Blocks of input channels under more bits: COMET's, with its permutation and without."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.quantizers.residuals.wide_blocks import Wide
from workbench.schemes import parse

FOUR = "w=int4/g128 a=int4/g128"


@pytest.fixture(scope="module")
def planted():
    """A layer of 1024 inputs, 20 of them 25 times larger, with rows to see and others to score."""
    random = np.random.default_rng(0)
    at = random.choice(1024, 20, replace=False)
    rows = random.standard_normal((1536, 1024)).astype(np.float32)
    rows[:, at] *= 25
    weight = (random.standard_normal((256, 1024)) / 32).astype(np.float32)
    return Layer(weight), Calibration.of(rows[:1024]), Calibration.of(rows[1024:])


def test_sorted_blocks_of_eight_bits_are_as_good_as_eight_bits_everywhere(planted):
    layer, seen, other = planted
    error = {
        text: Recipe.parse(text).apply(layer, seen).error(layer, other)
        for text in (FOUR, f"sort {FOUR}", f"sort {FOUR} wide_blocks", f"{FOUR} wide_blocks",
                     "w=int4/g128 a=int8/g128")
    }  # fmt: skip
    plain, ordered, mixed, unsorted, eight = error.values()
    assert mixed <= 1.1 * eight
    assert mixed <= 0.3 * unsorted
    assert mixed <= 0.55 * ordered < 0.55 * plain
    assert unsorted > 0.8 * plain, "without the permutation a block in eight is not enough"


def test_all_but_an_eighth_of_the_blocks_have_four_bits_and_hold_no_outlier(planted):
    layer, seen, _ = planted
    made = Recipe.parse(f"sort {FOUR} wide_blocks").apply(layer, seen)
    [wide] = made.corrections
    assert 1 - wide.share == 0.875
    assert wide.channels.tolist() == list(range(128))
    reach = made.rewrite.inputs(seen.rows)[:, 128:]
    assert np.abs(reach).max() < 6 < seen.reach.max()


def test_the_permutation_changes_no_output(planted):
    layer, seen, other = planted
    exact = other.rows @ layer.weight.T
    outputs = Recipe.parse("sort").apply(layer, seen)(other.rows)
    assert np.abs(outputs - exact).max() <= 2e-5 * np.abs(exact).max()


def test_it_is_one_product_with_rounded_weights(planted):
    layer, seen, other = planted
    made = Recipe.parse(f"{FOUR} wide_blocks(share=0.3)").apply(layer, seen)
    [wide] = made.corrections
    rows = other.rows[:64]
    mixed = parse("int4/g128").round(rows)
    mixed[:, wide.channels] = parse("int8/g128").round(rows)[:, wide.channels]
    want = mixed.astype(np.float64) @ made.weight.dequantize().T.astype(np.float64)
    assert np.allclose(made(rows), want, rtol=0, atol=1e-5 * np.abs(want).max())
    most = seen.reach.reshape(8, 128).max(axis=1)
    assert set(wide.channels // 128) == set(np.argsort(-most)[:2])


@pytest.mark.parametrize(("share", "blocks"), [(0.125, 1), (0.2, 2), (0.01, 1), (1.0, 12)])
def test_shares_are_counted_in_blocks_and_bytes_in_flags(share, blocks):
    x = np.random.default_rng(1).standard_normal((64, 93)).astype(np.float32)
    x[:, 91] *= 50  # in the last block, which has five channels
    recipe = f"w=int4/channel a=int4/token wide_blocks(share={share},block=8,inputs=int8/g8)"
    made = Recipe.parse(recipe).apply(x[:8], Calibration.of(x))
    [wide] = made.corrections
    assert isinstance(wide, Wide)
    assert wide.channels.size == 8 * blocks - 3
    assert 91 in wide.channels
    plain = Recipe.parse("w=int4/channel a=int4/token").apply(x[:8])
    assert made.nbytes == plain.nbytes + 2
    assert made(x).shape == (64, 8)


def test_the_choice_is_the_calibrations_not_the_batchs(planted):
    layer, seen, _ = planted
    made = Recipe.parse(f"{FOUR} wide_blocks").apply(layer, seen)
    [wide] = made.corrections
    rows = np.ones((2, 1024), np.float32)
    rows[:, (wide.channels[0] + 512) % 1024] = 1000
    rest, _ = wide.split(rows)
    assert not rest[:, wide.channels].any()
    assert rest.max() == 1000


@pytest.mark.parametrize(
    ("part", "known", "why"),
    [("wide_blocks(share=0)", True, "above 0 and at most 1"), ("wide_blocks", False, "were given"),
     ("wide_blocks(share=1.5)", True, "above 0"), ("wide_blocks(block=0)", True, "a channel or"),
     ("wide_blocks(inputs=int99)", True, "1 to 16 bits")],
)  # fmt: skip
def test_what_cannot_be_is_said(part, known, why, layer, calibration):
    with pytest.raises(WorkbenchError, match=why):
        Recipe.parse(f"w=int4/g32 a=int4/token {part}").apply(layer, calibration if known else None)
