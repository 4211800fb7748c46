"""The hardware table: every figure has a source and a date, and what no source says is said."""

import re

import pytest

from workbench.costs import hardware, hardware_table, own_rows, read_hardware
from workbench.costs.hardware import UNITS
from workbench.errors import WorkbenchError

ROW = """
[mine]
title = "my card"
[[mine.figures]]
source = "its box"
date = "2026-01"
peaks = { float16 = 1e12 }
memory = [{ name = "RAM", bandwidth = 1e11, size = 8e9 }]
"""


def figures(device):
    yield from device.peaks.values()
    for memory in device.memories:
        yield from (each for each in (memory.bandwidth, memory.size) if each is not None)
    if device.power is not None:
        yield device.power


@pytest.mark.parametrize("name", hardware_table())
def test_every_figure_has_a_source_and_a_date(name):
    device = hardware(name)
    assert device.title
    assert device.kind
    assert set(device.peaks) <= set(UNITS)
    for figure in figures(device):
        assert figure.value > 0
        assert figure.source
        assert re.fullmatch(r"20\d\d-\d\d", figure.date)
    assert device.main.bandwidth.value > 0


def test_the_devices_that_were_asked_for_are_there():
    kinds = {device.kind for device in hardware_table().values()}
    assert {"data-centre GPU", "consumer GPU", "CPU", "phone NPU", "FPGA"} <= kinds
    assert {"a100-sxm", "h100-sxm", "h200-sxm", "b200-sxm", "mi300x"} <= set(hardware_table())


def test_narrower_operands_are_never_slower():
    for device in hardware_table().values():
        for wide, narrow in (("float16", "float8"), ("float8", "float4"), ("int8", "int4")):
            if {wide, narrow} <= set(device.peaks):
                assert device.peak(narrow).value >= device.peak(wide).value


def test_what_a_row_does_not_know_is_said():
    with pytest.raises(WorkbenchError, match="float8 on a100-sxm → its row states no such peak"):
        hardware("a100-sxm").peak("float8")
    with pytest.raises(WorkbenchError, match="no unit of arithmetic"):
        hardware("a100-sxm").peak("fp8")
    with pytest.raises(WorkbenchError, match="'h100-sxm'"):
        hardware("h100")


def test_rows_of_a_person_join_the_table_and_replace_shipped_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = own_rows()
    assert "mine" not in hardware_table()
    path.parent.mkdir(parents=True)
    path.write_text(ROW + ROW.replace("mine", "a100-sxm"), "utf-8")
    assert hardware("mine").peak("float16").provenance == "its box, 2026-01"
    assert hardware("a100-sxm").title == "my card"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('date = "2026-01"', ""), "without a source and a date"),
        (("float16 = 1e12", "float17 = 1e12"), "write 'float16'"),
        (("float16 = 1e12", "float16 = 0"), "no number above 0"),
        (("peaks", "peak"), "'peak' → no entry of hardware"),
        (("{ float16 = 1e12 }", "1e12"), "it is no table"),
        (("bandwidth = 1e11", "bandwith = 1e11"), "'bandwith'"),
        (('name = "RAM"', 'role = "mane"'), "'mane'"),
        (("[mine]", "[mine"), "it is no table"),
    ],
)
def test_a_row_that_is_written_wrongly_says_where(tmp_path, change, said):
    path = tmp_path / "hardware.toml"
    path.write_text(ROW.replace(*change, 1), "utf-8")
    with pytest.raises(WorkbenchError, match=said) as caught:
        read_hardware(path)
    assert str(path) in str(caught.value)


def test_a_row_without_a_bandwidth_says_so(tmp_path):
    path = tmp_path / "hardware.toml"
    path.write_text(ROW.replace("bandwidth = 1e11, ", ""), "utf-8")
    with pytest.raises(WorkbenchError, match="states no bandwidth"):
        print(read_hardware(path)["mine"].main)
