"""Energy by the published table: its figures, its ratios, and what it does not know."""

import pytest

from workbench.costs import Operands, Workload, architecture, hardware, roofline
from workbench.costs.energy import NARROW, Energy, energy_of, energy_table
from workbench.errors import WorkbenchError

TABLE = energy_table("horowitz-45nm")
LLAMA, A100 = architecture("llama-2-7b"), hardware("a100-sxm")


@pytest.mark.parametrize(
    ("found", "picojoules"),
    [
        (TABLE.add("int8"), 0.03), (TABLE.add("int16"), 0.05), (TABLE.add("int32"), 0.1),
        (TABLE.add("float16"), 0.4), (TABLE.add("float32"), 0.9), (TABLE.multiply("int8"), 0.2),
        (TABLE.multiply("int32"), 3.1), (TABLE.multiply("float16"), 1.1),
        (TABLE.multiply("float32"), 3.7),
    ],
)  # fmt: skip
def test_the_table_says_what_was_published(found, picojoules):
    assert found.least == found.most == pytest.approx(picojoules * 1e-12)
    assert found.provenance == TABLE.provenance


def test_memory_is_dearer_the_larger_it_is():
    bytes_of = [TABLE.access(name).least for name in TABLE.memories]
    assert bytes_of == sorted(bytes_of)
    assert TABLE.access().most == 2 * TABLE.access().least == pytest.approx(325e-12)


def test_additions_in_place_of_products_save_what_was_published():
    """A 16-bit addition of integers for a product of floats: 95 %, and 80 % of a dot product."""
    assert 1 - TABLE.add("int16").least / TABLE.multiply("float16").least > 0.95
    assert 1 - TABLE.add("int32").least / TABLE.multiply("float32").least > 0.97
    replaced = TABLE.add("int32").least + TABLE.add("float32").least
    product = TABLE.multiply("float32").least + TABLE.add("float32").least
    assert 1 - replaced / product == pytest.approx(0.783, abs=5e-4)


def test_what_the_table_lacks_is_estimated_and_says_so():
    for unit in NARROW:
        found = TABLE.multiply(unit)
        assert ("estimated" in found.provenance) == (unit not in TABLE.multiplies)
    order = [TABLE.multiply(unit).least for unit in ("int4", "int8")]
    assert order == sorted(order)
    floats = [TABLE.multiply(u).least for u in ("float4", "float8", "bfloat16", "float16")]
    assert floats == sorted(floats)
    with pytest.raises(WorkbenchError, match="no addition of horowitz-45nm"):
        TABLE.add("int4")
    with pytest.raises(WorkbenchError, match="no energy table"):
        energy_table("horowitz-7nm")


def test_a_step_costs_its_products_and_its_bytes():
    step = roofline(LLAMA, Workload("decode"), A100, Operands("int8/channel", "int8/token"))
    point = next(p for p in step.points if p.operation.name == "layers.0.mlp.up_proj")
    found, products = energy_of(point, TABLE), 4096 * 11008
    arithmetic = products * 0.3e-12 + point.conversions * 0.9e-12
    assert found.least == pytest.approx(arithmetic + point.traffic.total * 1300e-12 / 8)
    assert found.most == pytest.approx(arithmetic + point.traffic.total * 2600e-12 / 8)
    assert energy_of(step, TABLE).least == pytest.approx(
        sum(energy_of(one, TABLE).least for one in step.points)
    )


def test_decoding_is_paid_to_the_memory_and_reading_to_the_arithmetic():
    for phase, low, high in (("decode", 0.9, 1.0), ("prefill", 0.0, 0.2)):
        step = roofline(LLAMA, Workload(phase, tokens=2048), A100)
        memory = (TABLE.access() * step.traffic).least
        assert low < memory / energy_of(step, TABLE).least < high


def test_carbon_follows_the_grid():
    assert Energy(3.6e6, 3.6e6, "").carbon(475) == (475, 475)
    with pytest.raises(WorkbenchError, match="no intensity"):
        Energy(1.0, 1.0, "").carbon(-1)
