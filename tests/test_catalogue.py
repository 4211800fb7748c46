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
    0: lambda f: (
        f["sample error, fp8"] <= 0.2 * f["sample error, int8"]
        and f["mean error of layers, fp4"] <= 0.7 * f["mean error of layers, int4"]
        and f["mean error of layers, fp4, learned rounding"] <= 0.7 * f["mean error of layers, fp4"]
        and f["sample error, fp4, learned rounding"] <= 0.3 * f["sample error, fp4"]
        and f["sliced distance, fp8"] < f["sliced distance, float from other noise"]
    ),
    3: lambda f: (
        f["free scales, e2m1/g256"]
        < f["tied to rows (M2), e2m1/g256"]
        < f["powers of two (M1), e2m1/g256"]
        < f["tied, next smaller, e2m1/g256"]
        and f["ratios of scales that are powers of two"] == 1
        and f["the recipe, tied scales"] < f["the recipe, powers of two scales"]
    ),
    5: lambda f: (
        abs(f["mean relative error, M = 7"] * 2**7 - f["first order, times 2^M"]) < 0.01
        and f[f"{AFTER}, E8M7"] + 0.02 < f[f"{AFTER}, E8M1"] < f[f"{AFTER}, E8M0"] - 0.05
        and f[f"{AFTER}, E8M0"] + 0.1 < f[f"{AFTER}, E3M7"]
    ),
    9: lambda f: (
        all(
            f[f"decoupled over gptq, {bits} bits"] < limit
            and f[f"decoupled over gptq with searched ranges, {bits} bits"] < 0.95
            and f[f"largest rise of it, {bits} bits"] == 0
            for bits, limit in ((3, 0.8), (2, 0.5))
        )
        and f["largest difference to least squares"] < 1e-6
    ),
    12: lambda f: (
        all(
            f[f"{kind} outliers, gptq: widths where floats lead"] >= 5
            for kind in ("with", "without")
        )
        and f["with outliers, nearest: E3M2 over INT6, dB"] > 10
        and f["without outliers, nearest: E3M2 over INT6, dB"] < 0
        and f["without outliers, nearest: share of even steps on the front of gates"] > 0.5
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
    24: lambda f: (
        f["shifted and scaled over neither"] <= 0.01
        and f["shifted and scaled over smoothed"] <= 0.75
        and f["channels at -70 and 40, center"] <= 0.2 * f["channels at -70 and 40, smooth"]
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
        and all(
            f[f"learned over the best fixed, {kind} outliers"] <= 0.5
            for kind in ("with", "without")
        )
        and f["rotation times its transpose, off by"] < 1e-6
    ),
    37: lambda f: (
        f["bitmod3"] < 0.85 * f["int3 asymmetric"] and f["bitmod4"] < 0.97 * f["int4 asymmetric"]
    ),
    38: lambda f: (
        f["channels found"] == 6
        and f["outliers apart"] < 0.03 * f["a scale a row"] < f["a scale a tensor"]
    ),
    43: lambda f: (
        f["mse, grid, power, adam"] == min(v for name, v in f.items() if "adam" in name)
        and f["mse, grid, uniform, adam"] < f["mse, grid, uniform, sgd"]
        and f["whole grid over two neighbours, int2/channel@mse"] < 1
        and 1 < f["calibrated on code over calibrated on plays, 4 bits"] < 1.1
    ),
    50: lambda f: (
        all(f[f"width {width}, exponent of the bits"] > 1 for width in (32, 64))
        and f["likely over unlikely tokens wrong, weight 0"]
        < f["likely over unlikely tokens wrong, weight 1"]
        < f["likely over unlikely tokens wrong, weight 10"]
        and f["width 64 at 4 bits less width 32 at 16 bits, as many in the blocks"] < 0
    ),
    51: lambda f: (
        f["mixed and permuted over eight bits"] <= 1.1
        and f["mixed and permuted over mixed"] <= 0.3
        and f["share of blocks at four bits"] == 0.875
        and f["permutation alone, largest difference"] < 1e-4
    ),
    57: lambda f: all(
        f[f"{bits} bits, calibrated on code: over nearest"]
        < f[f"{bits} bits, calibrated on both: over nearest"]
        < f[f"{bits} bits, calibrated on prose: over nearest"]
        < 0.3
        for bits in (4, 3, 2)
    ),
    62: lambda f: (
        all(
            f[f"{solver} over nearest, {bits} bits"] < 0.9
            for solver in ("adaround", "gptq", "gptq(act_order=true)", "adaquant")
            for bits in (2, 3, 4)
        )
        and f["static inputs with outliers, adaquant over nearest"] < 0.1
        and f["random tables where it is not the best of all choices"] == 0
        and f["integer program over four bits everywhere"] < 1
        and f["batch norms, int3, found again"] < 0.8 * f["batch norms, int3"]
    ),
    64: lambda f: (
        f["share lost to zero, udynamic8"] < 0.1 < f["share lost to zero, uint8"]
        and abs(f[f"embedding's {AFTER}, dynamic8/b2048"] - f[f"embedding's {AFTER}, float32"])
        < 0.03
        and f[f"embedding's {AFTER}, int8/b2048"] > 1.5 * f[f"embedding's {AFTER}, float32"]
    ),
    66: lambda f: (
        f["tuned over straight-through"] <= 0.7
        and f["steps that raised the error"] == 0
        and f["share of codes changed"] >= 0.2
        and f["codes changed by the best full step"] == 0
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
    75: lambda f: (
        f["trained over singular values, held out"] <= 0.64
        and f["trained over the optimum, calibrated"] < 1.02
        and f["bytes beyond codes and 16 bits a factor"] == 0
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
    122: lambda f: (
        all(
            f[f"{kind}, rank correlation with the damage of two bits"] > 0.7
            and f[f"{kind}, groups over the same widths shuffled"] < 0.9
            for kind in ("PMPQ", "TDMPQ")
        )
        and f["CMPQ, rank correlation with the damage of four blocks"] == 1
    ),
    129: lambda f: (
        f["8 bits, all over smooth"] < 0.9
        and f["8 bits, all over full ranges"] < 0.01
        and f["4 bits, all over smooth"] < 0.75
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
