"""Bytes that are known beforehand are those that a layer stores once it is quantized."""

import numpy as np
import pytest

from workbench.costs import Added, Workload, architecture, hardware, roofline
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.quantizers.operands import operands_of
from workbench.quantizers.papers import PAPERS

SHAPE = (256, 512)


@pytest.fixture(scope="module")
def layer():
    random = np.random.default_rng(0)
    inputs = random.standard_normal((1024, SHAPE[1]), np.float32)
    inputs[:, 7] *= 20
    producer = random.standard_normal((SHAPE[1], 64), np.float32)
    weight = random.standard_normal(SHAPE, np.float32)
    return Layer(weight, producer=producer), Calibration.of(inputs)


QUICK = [p for p in PAPERS if not p.recipe.tunings and p.name not in ("OSTQuant", "LLM-FP4")]


@pytest.mark.parametrize("paper", QUICK, ids=lambda paper: paper.name)
def test_published_methods_store_what_was_foretold(paper, layer):
    made = paper.recipe.apply(*layer)
    bias = 0 if made.bias is None else made.bias.nbytes
    assert operands_of(paper.recipe)("layer").stored(SHAPE) == pytest.approx(
        made.nbytes - bias, abs=4
    )


@pytest.mark.parametrize(
    "recipe",
    [
        "w=e2m1/channel float_search(columns=2)", "w=int4/g100*f16+zp",
        "w=f16 vector_codes(bits=6, size=4, scales=true)", "w=int3/t16x16", "w=nvfp4",
        "w=int4/channel kept_columns(3+10-20) low_rank(4) bias_correction",
        "w=int8/tensor outlier_columns(weights=quantized)", "w=int5/channel+mean",
    ],
)  # fmt: skip
def test_other_parts_too(recipe, layer):
    made = Recipe.parse(recipe).apply(*layer)
    bias = 0 if made.bias is None else made.bias.nbytes
    foretold = operands_of(recipe)("layer").stored(SHAPE)
    slack = SHAPE[1] * 2 / 8 if "columns=2" in recipe else 4  # exponents may be left out
    assert made.nbytes - bias - 4 <= foretold <= made.nbytes - bias + slack


def test_overrides_and_residuals_reach_the_roofline():
    model, device = architecture("llama-2-7b"), hardware("a100-sxm")
    recipe = Recipe.parse("w=int4/g128 low_rank(16) [*.down_proj: w=int8/channel a=int8/token]")
    step = roofline(model, Workload("decode"), device, operands_of(recipe))
    points = {point.operation.name: point for point in step.points}
    up, down = points["layers.3.mlp.up_proj"], points["layers.3.mlp.down_proj"]
    assert up.traffic.weights == 11008 * 4096 * 4.25 / 8 + 2 * 16 * (11008 + 4096)
    assert up.operations == 2 * 11008 * 4096 + 2 * 16 * (11008 + 4096)
    assert (up.unit.name, down.unit.name) == ("bfloat16", "int8")
    assert points["lm_head"].traffic.weights == 32000 * 4096 * 2


def test_what_is_added_adds_up():
    assert Added(1, 2, 1) + Added(3, 4) == Added(4, 6, 1)


def test_a_copy_for_outliers_is_stored_and_hardly_read():
    kept = operands_of("w=int8/channel a=int8/token outlier_columns")("layer")
    plain = operands_of("w=int8/channel a=int8/token")("layer")
    assert kept.stored(SHAPE) == plain.stored(SHAPE) + 2 * 256 * 512
    assert kept.read(SHAPE) == plain.stored(SHAPE)


def test_training_passes_the_factors_three_times():
    model, device = architecture("reference"), hardware("a100-sxm")
    more = [
        sum(p.operations - p.operation.operations for p in roofline(
            model, Workload(phase, 1, 16), device, operands_of("w=int4/g128 low_rank(8)")
        ).points)
        for phase in ("prefill", "train")
    ]  # fmt: skip
    assert more[1] == 3 * more[0] > 0


def test_a_lookup_is_a_conversion():
    step = roofline(architecture("llama-2-7b"), Workload("decode"), hardware("a100-sxm"),
                    operands_of("w=f16 vector_codes"))  # fmt: skip
    weights = architecture("llama-2-7b").block_parameters
    assert sum(point.conversions for point in step.points) == weights
