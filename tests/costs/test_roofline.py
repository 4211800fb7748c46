"""The roofline, held to published anchors, to limits, and to the formula done by hand."""

from dataclasses import replace
from itertools import product

import pytest

from workbench.costs import (
    Operands,
    Workload,
    architecture,
    grouped,
    hardware,
    roofline,
    unit_for,
)
from workbench.errors import WorkbenchError

LLAMA, A6000 = architecture("llama-2-7b"), hardware("rtx-a6000")
F16 = Operands(plain="f16")


def query(phase, operands=F16, **sizes):
    step = roofline(LLAMA, Workload(phase, tokens=2048, **sizes), A6000, operands)
    return next(p for p in step.points if p.operation.name == "layers.0.self_attn.q_proj")


def test_the_query_projection_of_llama_2_7b_is_where_llm_viewer_has_it():
    ahead, next_token = query("prefill"), query("decode")
    assert ahead.operations == pytest.approx(68.7e9, rel=1e-3)
    assert ahead.traffic.total == pytest.approx(67.1e6, rel=1e-3)
    assert ahead.intensity == 1024
    assert ahead.bound == "compute"
    assert next_token.operations == pytest.approx(33.6e6, rel=2e-3)
    assert next_token.traffic.total == pytest.approx(33.6e6, rel=2e-3)
    assert next_token.intensity == pytest.approx(0.9995, abs=1e-4)
    assert next_token.bound == "GDDR6"
    assert next_token.attained == pytest.approx(768e9, rel=1e-3)
    knee = A6000.peak("float16").value / A6000.main.bandwidth.value
    assert knee == pytest.approx(201.6, abs=0.05)


def test_no_point_lies_above_its_roof():
    model, h200 = architecture("llama-3-8b"), hardware("h200-sxm")
    for phase, batch in product(("prefill", "decode", "train"), (1, 16, 256)):
        for point in roofline(model, Workload(phase, batch, 64), h200).points:
            slope = point.intensity * h200.main.bandwidth.value
            assert point.attained <= min(point.unit.peak.value, slope) * (1 + 1e-12)


def test_a_recipe_moves_what_its_scales_say():
    point = query("decode", Operands("int4/g128"))
    assert point.traffic.weights * 8 / 4096**2 == 4.25
    assert query("decode", Operands("int4/g128*f16")).traffic.weights * 8 / 4096**2 == 4.125
    assert query("decode", Operands("mxfp4")).traffic.weights * 8 / 4096**2 == 4.25


def test_keys_and_values_cost_their_format():
    model, work, h100 = (
        architecture("llama-3-8b"),
        Workload("decode", 8, 8000),
        hardware("h100-sxm"),
    )
    wide, narrow = (roofline(model, work, h100, Operands(cache=c)) for c in ("", "int4/token"))
    assert wide.cache_bytes == 8 * 2 * 8001 * 32 * 8 * 128 * 2
    assert narrow.cache_bytes / wide.cache_bytes == pytest.approx((4 + 32 / 1024) / 16)
    read = [grouped(s.points)["self_attn.attention"][0].traffic.cache for s in (wide, narrow)]
    assert read[1] / read[0] == pytest.approx((4 + 32 / 1024) / 16)
    decoded = grouped(narrow.points)["self_attn.attention"][0].conversions
    assert decoded == 8 * 2 * 8001 * 8 * 128


@pytest.mark.parametrize(
    ("device", "weights", "activations", "unit"),
    [
        ("a100-sxm", "int4/g128", "", "bfloat16"),
        ("a100-sxm", "int8/channel", "int8/token", "int8"),
        ("a100-sxm", "int4/channel", "int8/token", "int8"),
        ("a100-sxm", "int4/channel", "int4/token", "int4"),
        ("a100-sxm", "int4/g128+zp", "int4/token", "int8"),
        ("a100-sxm", "e4m3fn/channel", "e4m3fn/token", "float16"),
        ("h100-sxm", "e4m3fn/channel", "e4m3fn/token", "float8"),
        ("h100-sxm", "int4/channel", "e4m3fn/token", "float8"),
        ("h100-sxm", "nf4/b64", "e4m3fn/token", "bfloat16"),
        ("b200-sxm", "mxfp4", "mxfp4", "float4"),
        ("b200-sxm", "nvfp4", "e4m3fn/token", "float8"),
        ("xeon-8380", "int4/g128", "", "float32"),
    ],
)
def test_a_product_runs_on_the_narrowest_arithmetic_that_takes_both_operands(
    device, weights, activations, unit
):
    assert unit_for(hardware(device), weights, activations).name == unit


def test_scales_inside_a_row_cost_conversions_unless_the_device_applies_them():
    b200 = hardware("b200-sxm")
    scaled = Operands("mxfp4", "mxfp4")

    def converted(device):
        step = roofline(LLAMA, Workload("decode", 4), device, scaled)
        return sum(point.conversions for point in step.points)

    assert converted(b200) == 0
    weights = LLAMA.block_parameters
    assert converted(replace(b200, blocks=())) == 4 * weights / 32
    widened = Operands("int4/g128", "int8/token")  # into int8, and a partial sum for each group
    step = roofline(LLAMA, Workload("decode", 4), b200, widened)
    assert sum(point.conversions for point in step.points) == weights + 4 * weights / 128
    step = roofline(LLAMA, Workload("decode", 4), b200, Operands("int4/g128"))
    assert sum(point.conversions for point in step.points) == weights


def test_what_the_memory_has_no_room_for_comes_over_the_link():
    large, card = architecture("llama-2-70b"), hardware("rtx-4090")
    step = roofline(large, Workload("decode"), card, Operands("int4/g128"))
    behind = step.weight_bytes + step.cache_bytes - 24e9
    assert step.offloaded == pytest.approx(behind / step.weight_bytes)
    assert next(iter(step.bounds)) == "host over PCIe 4"
    moved = sum(point.seconds.get("host over PCIe 4", 0) for point in step.points) * 32e9
    in_blocks = sum(point.traffic.weights for point in step.points)
    assert moved == pytest.approx(step.offloaded * in_blocks)


def test_decoding_reads_every_byte_once():
    """Batch 1 on an FPGA, where bandwidth over bytes a token is the speed (FlightLLM's limit)."""
    card = hardware("alveo-u280")
    narrow = Operands("int4/g128", "int8/token", plain="int8")
    step = roofline(LLAMA, Workload("decode", tokens=1), card, narrow)
    assert step.tokens_per_second == pytest.approx(460e9 / step.traffic, rel=1e-6)


def test_a_batch_brings_decoding_to_its_roof():
    times = [
        roofline(LLAMA, Workload("decode", batch, 1), hardware("h100-sxm")).time
        for batch in (1, 64, 4096)
    ]
    assert times[1] < 1.3 * times[0]
    assert times[2] > 4 * times[0]


def test_a_point_explains_itself_with_its_numbers():
    text = query("decode").explain()
    assert "33.55 Mop / 33.57 MB = 0.9995 op/B" in text
    assert "GDDR6 bounds it" in text


@pytest.mark.parametrize(
    ("model", "work", "device", "said"),
    [
        ("llama-2-7b", Workload(), "snapdragon-888", "states peaks of int8"),
        ("llama-2-7b", Workload(batch=4096), "rtx-4090", "take fewer sequences"),
        ("llama-3-70b", Workload(), "raspberry-pi-5", "holds 8 GB"),
    ],
)
def test_a_step_that_a_device_cannot_do_says_why(model, work, device, said):
    with pytest.raises(WorkbenchError, match=said):
        roofline(architecture(model), work, hardware(device))
