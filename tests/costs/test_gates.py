"""The gate model: its anchors, its order, and what the accumulator decides."""

from __future__ import annotations

import pytest

import workbench as wb
from workbench.costs import GateCosts, gates
from workbench.errors import WorkbenchError

INT8 = 504
BAND = (1.5, 2.8)  # published range of FP8 over INT8


def test_int8_is_504_gates():
    found = gates("int8")
    assert found.total == INT8
    assert found.parts == {"multiplier": 64 + 56 * 5, "exponent": 0, "alignment": 0,
                           "accumulation": 32 * 5, "lookup": 0}  # fmt: skip


@pytest.mark.parametrize("bits", range(1, 17))
def test_an_integer_is_its_formula(bits):
    assert gates(f"uint{bits}").total == bits**2 + 5 * bits * (bits - 1) + 160


def test_e4m3_is_its_formula_and_inside_the_published_band():
    width = 2 * 4 + 2 * (2**4 - 2)
    expected = 4**2 + 5 * 4 * 3 + 5 * 5 + width * 5 * 3 + width * 5
    assert gates("e4m3fn").total == expected
    assert BAND[0] <= expected / INT8 <= BAND[1]


def test_e5m2_is_inside_the_band_only_with_a_float32_accumulator():
    assert gates("e5m2").total / INT8 > BAND[1]
    for name in ("e5m2", "e4m3fn"):
        assert BAND[0] <= gates(name, "float32").total / INT8 <= BAND[1]


@pytest.mark.parametrize("accumulator", ["fixed", "float32"])
@pytest.mark.parametrize("mantissa", [1, 2, 3, 5])
def test_more_exponent_bits_never_cost_less(mantissa, accumulator):
    totals = [gates(f"e{e}m{mantissa}", accumulator).total for e in range(1, 8)]
    assert totals == sorted(totals)
    assert totals[-1] > totals[0]


@pytest.mark.parametrize("exponent", [2, 3, 4, 5])
def test_more_mantissa_bits_cost_more(exponent):
    totals = [gates(f"e{exponent}m{m}").total for m in range(1, 8)]
    assert totals == sorted(set(totals))


@pytest.mark.parametrize("name", ["int8", "e4m3fn", "e2m1", "nf4", "q3.4", "e0m3", "e3m0"])
@pytest.mark.parametrize("accumulator", ["fixed", "float32"])
def test_parts_add_up_and_say_that_they_are_an_estimate(name, accumulator):
    found = gates(name, accumulator)
    assert found.total == sum(found.parts.values()) > 0
    assert min(found.parts.values()) >= 0
    assert found.provenance == "estimate: gate model"


def test_a_codebook_is_a_lookup_and_a_wide_multiplier():
    found = gates("nf4")
    assert found.lookup == 15 * 16 * 3
    assert found.multiplier == gates("int16").multiplier
    assert gates(wb.format("codebook(-1,0,1)")).lookup == 3 * 16 * 3


def test_the_costs_are_the_users():
    free = GateCosts(multiplexer=0, provenance="a library with free multiplexers")
    assert gates("e4m3fn", costs=free).alignment == 0
    assert gates("int8", costs=GateCosts(full_adder=6)).total == 64 + 6 * (56 + 32)


def test_what_the_model_does_not_know_is_refused():
    for wrong in (("posit8", "fixed"), ("int8", "float64"), ("int99", "fixed")):
        with pytest.raises(WorkbenchError, match="→"):
            gates(*wrong)
