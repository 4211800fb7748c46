"""Every row of the catalogue measures what it says, and the command prints it."""

from __future__ import annotations

import json
import math

import pytest

from workbench import catalogue
from workbench.catalogue import STATUSES, SYSTEMS
from workbench.cli import main
from workbench.errors import WorkbenchError

KEYS = {"number", "name", "year", "kind", "status", "claim", "where", "differs", "measured"}

AFTER = "loss after 200 steps"

# What must hold of the figures for the row's status to be true.
HOLDS = {
    5: lambda f: (
        abs(f["mean relative error, M = 7"] * 2**7 - f["first order, times 2^M"]) < 0.01
        and f[f"{AFTER}, E8M7"] + 0.02 < f[f"{AFTER}, E8M1"] < f[f"{AFTER}, E8M0"] - 0.05
        and f[f"{AFTER}, E8M0"] + 0.1 < f[f"{AFTER}, E3M7"]
    ),
    13: lambda f: (
        f["relative difference of the two products"] < 1e-12
        and f["with outliers, splits and biases searched"]
        <= 0.12 * f["with outliers, e2m1 with full ranges"]
        and f["with outliers, shifted over searched"] <= 0.65
        and f["without outliers, shifted over searched"] > 1
    ),
    16: lambda f: (
        f["largest products that fit int32"] <= 4
        and f["largest partial sum of 13-bit operands"] < 2**31
        and abs(f[f"{AFTER}, dfp16"] - f[f"{AFTER}, float32"]) < 0.01
        and f[f"{AFTER}, dfp6"] > f[f"{AFTER}, float32"] + 0.1
    ),
    19: lambda f: (
        f["power, laplace"] < f["power, gaussian"] < f["power, uniform"]
        and f["learned over the best grid, 4 bits"] <= 0.85
        and f["learned over the best grid, 3 bits"] <= 1
        and f["whole grid over two neighbours, int3/channel@mse"]
        < f["whole grid over two neighbours, int3/channel"]
        < 1.03
    ),
    20: lambda f: (
        f["block 128, plain"] == pytest.approx(f["block 128, sorted"], rel=1e-9)
        and f["block 32, sorted"] < 0.85 * f["block 32, plain"]
    ),
    22: lambda f: (
        [f[f"magnitudes, khot8(k={k})"] for k in (1, 2, 3)] == [9, 37, 93]
        and f["fractional bits by the maximum, N(0, 1)"] == 4
        and f["fractional bits learned, N(0, 1)"] == 5
        and f["hardware products that tensors miss"] == 0
        and f[f"{AFTER}, 8 bits"] < f[f"{AFTER}, float32"] + 0.03
    ),
    27: lambda f: f["wrong products"] == 0,
    32: lambda f: (
        f["diag(4, 1), rotated"] == pytest.approx(math.pi / 5)
        and f["diag(4, 1), whitened"] == pytest.approx(math.pi / 4)
        and f["diag(4, 1), as it is"]
        == pytest.approx(f["diag(4, 1), share of points inside"], rel=0.01)
        and f["whitened with the longest axis diagonal, published"] > 1
        and abs(f["64 channels, rotated against the limit"]) < 1e-9
        and f["noise on unlikely tokens, KL over 1000"] == 0
    ),
    37: lambda f: (
        f["bitmod3"] < 0.85 * f["int3 asymmetric"] and f["bitmod4"] < 0.97 * f["int4 asymmetric"]
    ),
    38: lambda f: (
        f["channels found"] == 6
        and f["outliers apart"] < 0.03 * f["a scale a row"] < f["a scale a tensor"]
    ),
    62: lambda f: all(
        f[f"{solver} over nearest, {bits} bits"] < 0.9
        for solver in ("adaround", "gptq", "gptq(act_order=true)")
        for bits in (2, 3, 4)
    ),
    64: lambda f: (
        f["share lost to zero, udynamic8"] < 0.1 < f["share lost to zero, uint8"]
        and abs(f[f"embedding's {AFTER}, dynamic8/b2048"] - f[f"embedding's {AFTER}, float32"])
        < 0.03
        and f[f"embedding's {AFTER}, int8/b2048"] > 1.5 * f[f"embedding's {AFTER}, float32"]
    ),
    68: lambda f: (
        f["t(3), rows of many sizes, share 0.1: over chance"] <= 0.85
        and 0.85 < f["shipped layer, share 0.1: over chance"] < 0.9
        and all(v <= 1.05 for name, v in f.items() if name.endswith("over the best choice"))
        and f["wide groups in a band, most less fewest"] == 0
        and abs(f["bits a weight, counted"] - f["bits a weight, by formula"]) < 1e-3
        and f["largest difference after storing"] < 1e-6
    ),
    71: lambda f: (
        f["codes decoded wrongly"] == 0
        and f["fp6 a row, gaussian"] < 0.3 * f["int4 g128 asymmetric, gaussian"]
    ),
    83: lambda f: (
        f["error, ternary searched"] < f["error, ternary by mean"] < f["error, binary"]
        and f[f"{AFTER}, float32"] < f[f"{AFTER}, int3"] <= f[f"{AFTER}, ternary"] + 0.01
        and f[f"{AFTER}, ternary"] < f[f"{AFTER}, binary"] - 0.01
    ),
    96: lambda f: (
        f["values not odd in modes 1, 4, 7, 8, 9"] == 0
        and f["values where up is not the mirror of down"] == 0
        and f["share rounded wrongly after to-odd"] == 0 < f["share rounded wrongly after nearest"]
    ),
    98: lambda f: (
        f["weights exact at 4 bits"] > 0.6 > f["weights exact at 8 bits, uniform noise"]
        and f[f"{AFTER}, noise of learned bits"] < f[f"{AFTER}, float32"] + 0.02
        and f["mean bits after 200 steps, from 6 towards 4"] < 5.6
    ),
    99: lambda f: f["largest of f7e5m1"] == 49152 and f["widths and lengths packed wrongly"] == 0,
    100: lambda f: (
        f["median SQNR of channels, a scale a channel, dB"]
        > f["median SQNR of channels, a scale a tensor, dB"] + 30
        and abs(f["gain of a zero point after a ReLU, dB"] - 6.02) < 0.15
        and f["integer products over simulated ones, largest difference"] < 1e-5
    ),
    101: lambda f: abs(f["relative error"] - (1 - 2 / math.pi)) < 2e-3,
    107: lambda f: (
        f["bytes of 1584 weights, 1 bit"] == 1584 / 8 + 8
        and f["mean absolute error, 1 bit"] < f["mean absolute error of the L2 code, 1 bit"]
        and f["accuracy after 200 steps, 1 bit"] > f["accuracy after 200 steps, float32"] - 0.015
        and f["accuracy after 200 steps, 1 bit"]
        > f["accuracy after 200 steps, float32 of the same bytes"]
    ),
    131: lambda f: (
        f["gaussian, E2M5 over INT8, dB"] == pytest.approx(2.1, abs=0.05)
        and f["uniform, INT8, dB"] == pytest.approx(48.13, abs=0.05)
        and 5 <= f["largest nu where E3M4 wins"] < 8
    ),
    139: lambda f: (
        f["four axes, published over exact"] == pytest.approx(1)
        and f["four directions, published over exact"] > 3.5
        and f["four directions, exact"] == pytest.approx(f["four axes, exact"])
    ),
}


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: s.name)
def test_every_check_runs_and_its_claim_holds(system):
    record = system.record()
    assert set(record) == KEYS
    assert record["measured"]
    assert all(math.isfinite(value) for value in record["measured"].values())
    assert json.loads(json.dumps(record)) == record
    assert HOLDS[system.number](record["measured"])


def test_rows_are_well_formed():
    numbers = [system.number for system in SYSTEMS]
    assert numbers == sorted(set(numbers))
    for system in SYSTEMS:
        assert system.status in STATUSES
        assert system.kind in ("format", "recipe", "function", "view")
        assert bool(system.differs) == (system.status != "reproduced")
        assert 1990 < system.year < 2030


def test_papers_prints_one_and_all(capsys):
    assert main(["papers", "bitmod"]) == 0
    assert "bitmod3: share of wider grids" in capsys.readouterr().out
    assert main(["papers", "37", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["name"] == "BitMoD"
    assert main(["papers"]) == 0
    text = capsys.readouterr().out
    assert all(system.name in text for system in SYSTEMS)


@pytest.mark.parametrize("name", ["9999", "no such thing", "bitmood"])
def test_unknown_systems_get_the_nearest(name):
    with pytest.raises(WorkbenchError, match="→ write"):
        catalogue.find(name)
