"""The study finds the faults that are there, names conventions rightly, and invents none.

Peers with one planted fault come first; then what the installed libraries do, each where it is.
"""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.studies import conformance
from workbench.studies.conformance import Convention, corner_cases
from workbench.studies.conformance_peers import PEERS, Peer, answers

NAMED = {peer.name: peer for peer in PEERS}


def only(subject, cast):
    """The result of a peer that has one format alone."""
    (result,) = conformance.run([subject], [Peer("mine", "numpy", {subject: cast})])
    return result


def kinds(result):
    return {d.kind: d.count for d in result.differences}


@pytest.fixture
def measured():
    """Results of one library by format, or a skip that says why it cannot be had."""

    def run(name, *subjects):
        results = conformance.run(subjects, [name])
        reasons = {r.reason for r in results if r.reason}
        if reasons:
            pytest.skip(f"NOT CROSS-CHECKED: {name} did not run: {reasons.pop()}")
        return results[0] if len(subjects) == 1 else results

    return run


def damaged(name, where, value, rounding="nearest_even"):
    """A cast like ours that turns the results of some inputs into a value."""

    def cast(x):
        y = wb.format(name).round(x, rounding)
        return np.where(where(x), np.float32(value), y)

    return cast


FAULTS = {
    "NaN": (lambda x: np.isnan(x), 3.0),
    "infinity": (lambda x: np.isposinf(x), 448.0),
    "minus zero": (lambda x: (x == 0) & np.signbit(x), 0.0),
    "overflow": (lambda x: (x > 1e6) & np.isfinite(x), 57344.0),
    "top binade": (lambda x: (x >= 65536) & (x < 131072), 0.0),
    "subnormals": (lambda x: (x > 1.1 * 2.0**-15) & (x < 1.2 * 2.0**-15), 0.0),
    "ties": (lambda x: x == 1.125, 1.25),
    "just below a tie": (lambda x: x == np.nextafter(np.float32(1.125), np.float32(0)), 1.25),
    "just above a tie": (lambda x: x == np.nextafter(np.float32(1.125), np.float32(2)), 1.0),
    "exact value": (lambda x: x == 1.0, 1.25),
    "interior": (lambda x: (x > 1.01) & (x < 1.02), 1.5),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_one_planted_fault_is_found_classed_and_no_other(kind):
    where, value = FAULTS[kind]
    x = corner_cases("e5m2")[0]
    result = only("e5m2", damaged("e5m2", where, value))
    assert kinds(result) == {kind: int(where(x).sum())}
    assert result.differing == where(x).sum() > 0
    (found,) = result.differences
    one = np.array([int(found.pattern, 16)], np.uint32).view(np.float32)
    assert where(one).all()
    assert float(found.theirs) == value
    assert str(wb.format("e5m2").round(one)[0]) == found.ours


@pytest.mark.parametrize(
    "convention",
    [
        Convention("e4m3fn(nan)"),
        Convention("e4m3ieee"),
        Convention("e4m3finite", "nearest_away"),
        Convention("e4m3fn(nosub)", "toward_zero"),
        Convention("e4m3fn", nan="∓0.0"),
        Convention("e4m3finite", "nearest_zero", nan="±480.0", zeros="unsigned"),
        Convention("e4m3fn(nan)", infinity="±448.0"),
        Convention("e4m3ieee(saturate)", "up", nan="0.0", infinity="nan"),
    ],
    ids=str,
)
def test_a_peer_that_follows_a_convention_is_named_so(convention):
    result = only("e4m3fn", convention.round)
    assert result.convention == convention
    assert (result.remaining, result.sign) == (0, "≡")


@pytest.mark.parametrize("subject", ["e3m2", "e8m0", "nf4", "e5m2 up", "mxfp4(even)"])
def test_a_peer_that_is_the_reference_differs_nowhere(subject):
    name, _, rounding = subject.partition(" ")
    result = only(subject, Convention(name, rounding or "nearest_even").round)
    assert (result.differing, result.sign, result.differences) == (0, "=", ())
    assert str(result.convention) == subject


def test_a_convention_is_not_called_exact_where_one_input_differs():
    result = only("e4m3fn", damaged("e4m3fn(nan)", lambda x: x == 1.125, 1.25))
    assert (str(result.convention), result.remaining, result.sign) == ("e4m3fn(nan)", 1, "≠")


def test_the_rule_of_a_block_scale_is_named():
    result = only("mxfp4(floor)", Convention("mxfp4(even)").round)
    assert str(result.convention) == "mxfp4(even)"
    assert result.remaining == 0
    assert result.differing > 0


@pytest.mark.parametrize("name", ["e4m3fn", "e2m1", "bf16", "f16"])
def test_corner_cases_hold_every_corner_once(name):
    format, x = wb.format(name), corner_cases(name)[0]
    patterns = x.view(np.uint32)
    assert np.unique(patterns).size == patterns.size
    halves = np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)
    values, middles = (v.astype(np.float32) for v in (format.values, format.middles))
    corners = [halves.view(np.float32), values, middles]
    corners += [np.nextafter(v, np.float32(end)) for v in (values, middles) for end in (-9e9, 9e9)]
    wanted = np.concatenate(corners)
    assert np.isin(wanted.view(np.uint32), patterns).all()
    assert np.isnan(x).sum() >= 512


def test_a_peer_that_cannot_run_is_listed_with_its_reason():
    def refuses(x):
        raise RuntimeError("no compiler\nand more")

    result = only("e5m2", refuses)
    assert (result.reason, result.sign, result.inputs) == ("RuntimeError: no compiler", "!", 0)
    text = conformance.markdown([result])
    assert "- not run: mine: RuntimeError: no compiler" in text
    missing = Peer("absent", "no-such-package", {"e5m2": lambda x: __import__("no_such_package")})
    (result,) = conformance.run(["e5m2"], [missing])
    assert result.version == ""
    assert result.reason.startswith("ModuleNotFoundError")


def test_kinds_of_input_that_a_peer_raises_on_are_said():
    def cast(x):
        if np.isnan(x).any():
            raise ValueError("no NaN here")
        return wb.format("e2m1").round(x)

    result = only("e2m1", cast)
    assert (result.refused, result.differing) == (("NaN",), 0)
    assert "raises on NaN" in conformance.markdown([result])
    assert answers(cast, np.float32([1, np.nan]))[0].tolist() == [True, False]


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(WorkbenchError, match="e4m3fn"):
        conformance.run(["e4m3fm"])
    with pytest.raises(WorkbenchError, match="gfloat"):
        conformance.run(peers=["gflot"])


def test_records_are_json_and_the_table_is_markdown():
    results = [only("e4m3fn", Convention("e4m3fn(nan)").round), only("e2m1", lambda x: x)]
    found = json.loads(json.dumps(conformance.records(results), allow_nan=False))
    assert [row["sign"] for row in found["rows"]] == ["≡", "≠"]
    assert found["versions"] == {"numpy": np.__version__}
    text = conformance.markdown(results)
    cells = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert cells == {7}
    assert f"workbench {wb.__version__}, numpy {np.__version__}" in text


def test_every_format_of_the_table_is_read_and_has_a_peer():
    covered = {subject for peer in PEERS for subject in peer.casts}
    assert covered == set(conformance.SUBJECTS)
    for subject in covered:
        every = conformance.candidates(subject)
        assert len({str(c) for c in every}) == len(every)
        x = np.ones(32, np.float32)
        assert all(c.round(x).shape == x.shape for c in every)


# What the installed libraries do. Facts about a version are read from the library in the test.


def test_numpy_halves_are_ours(measured):
    assert measured("numpy", "f16").sign == "="


def test_torch_saturates_e4m3fn_since_2_12_and_agrees_elsewhere(measured):
    torch = pytest.importorskip("torch")
    result = measured("torch", "e4m3fn")
    saturates = torch.tensor([1000.0]).to(torch.float8_e4m3fn).float().item() == 448
    assert str(result.convention) == ("e4m3fn" if saturates else "e4m3fn(nan)")
    assert result.remaining == 0
    for result in measured("torch", "f16", "bf16", "e5m2", "e5m2fnuz", "e4m3fnuz"):
        assert result.sign == "="


def test_torch_drops_the_sign_for_e8m0(measured):
    pytest.importorskip("torch")
    found = {d.kind: d for d in measured("torch", "e8m0").differences}
    sign = found["zero or negative"]
    assert (sign.input, sign.theirs, sign.ours) == ("-1.0", "1.0", "nan")


def test_ml_dtypes_e4m3fn_overflows_to_nan_and_sub_byte_nan_becomes_zero(measured):
    pytest.importorskip("ml_dtypes")
    result = measured("ml_dtypes", "e4m3fn")
    assert (str(result.convention), result.remaining) == ("e4m3fn(nan)", 0)
    assert set(kinds(result)) == {"overflow", "infinity"}
    for result in measured("ml_dtypes", "e2m1", "e3m2", "e2m3"):
        assert set(kinds(result)) == {"NaN"}
        assert result.differences[0].theirs == "-0.0"
        assert (result.convention.nan, result.remaining) == ("∓0.0", 0)
    for result in measured("ml_dtypes", "bf16", "e5m2", "e3m4", "e4m3ieee", "e4m3fnuz"):
        assert result.sign == "="


def test_gfloat_agrees_wherever_it_claims_a_format(measured):
    """Without saturation it is the reference, but in e4m3fn; with it, the one that saturates."""
    pytest.importorskip("gfloat")
    claimed = [s for s in NAMED["gfloat sat"].casts if s != "e8m0" and " " not in s]
    for result in conformance.run([*claimed, "e5m2 down"], ["gfloat", "gfloat sat"]):
        name = result.format.partition(" ")[0]
        format = wb.format(result.convention.format)
        assert (result.reason, result.remaining) == ("", 0)
        if result.peer == "gfloat sat":
            assert format.overflow == "saturate"
        else:
            assert format == wb.format("e4m3fn(nan)" if name == "e4m3fn" else name)


def test_gfloat_blocks_are_ours_but_for_infinity_and_it_raises_on_nan(measured):
    pytest.importorskip("gfloat")
    result = measured("gfloat", "mxfp4(floor)")
    assert (set(kinds(result)), result.refused) == ({"infinity"}, ("NaN",))


def test_pychop_takes_the_next_binade_for_blocks_just_below_a_power_of_two(measured):
    pytest.importorskip("pychop")
    found = {d.kind: d for d in measured("pychop", "mxfp4(floor)").differences}
    below = found["just below a power of two"]
    assert (below.input, below.theirs, below.ours) == ("7.9999995", "8.0", "6.0")
    assert "random blocks" not in found


def test_torchao_sub_byte_nan_becomes_a_number_by_its_payload(measured):
    pytest.importorskip("torchao")
    for result in measured("torchao", "e2m1", "e3m2"):
        assert set(kinds(result)) == {"NaN"}
        assert result.differences[0].theirs == "1.0"
        assert result.sign == "≠"


def test_torchao_blocks_follow_the_rule_of_their_name(measured):
    pytest.importorskip("torchao")
    for result in measured("torchao", *(s for s in NAMED["torchao"].casts if s.startswith("mx"))):
        assert str(result.convention) == result.format
        allowed = {"infinity", "smallest normals"}
        allowed |= {"largest value beside a threshold"} if "rceil" in result.format else set()
        assert set(kinds(result)) <= allowed


def test_pychop_flushes_the_top_binade_and_swaps_the_ties_of_negatives(measured):
    pytest.importorskip("pychop")
    half, small = measured("pychop", "f16", "e4m3ieee")
    for result, first in ((half, "65536.0"), (small, "256.0")):
        found = {d.kind: d for d in result.differences}
        assert (found["top binade"].input, found["top binade"].theirs) == (first, "0.0")
        assert (found["minus zero"].input, found["minus zero"].theirs) == ("-0.0", "0.0")
    zero, away, odd = measured(
        "pychop", *(f"e5m2 {m}" for m in ("nearest_zero", "nearest_away", "to_odd"))
    )
    ties = [next(d for d in r.differences if d.kind == "ties") for r in (zero, away)]
    assert [(d.input, d.theirs, d.ours) for d in ties] == [
        ("-1.125", "-1.25", "-1.0"), ("-1.125", "-1.0", "-1.25"),
    ]  # fmt: skip
    moved = next(d for d in odd.differences if d.kind == "exact value")
    assert (moved.input, moved.theirs) == ("1.0", "1.25")


def test_pychop_backends_agree_with_each_other(measured):
    pytest.importorskip("torch")
    first = measured("pychop", "e5m2", "bf16")
    second = measured("pychop torch", "e5m2", "bf16")
    assert [r.differences for r in first] == [r.differences for r in second]


def test_bitsandbytes_tables_turn_where_ours_do_but_for_written_thresholds(measured):
    pytest.importorskip("bitsandbytes")
    result = measured("bitsandbytes", "nf4")
    assert result.differing < 1e-3 * result.inputs


def test_qtorch_ties_go_away_and_nan_becomes_the_largest(measured):
    pytest.importorskip("qtorch")
    if not NAMED["qtorch"].version:
        pytest.skip("NOT CROSS-CHECKED: qtorch is missing")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = measured("qtorch", "e4m3fn")
    found = {d.kind: d for d in result.differences}
    assert (result.convention.format, result.convention.rounding) == ("e4m3finite", "nearest_away")
    assert found["NaN"].theirs == "480.0"
    assert {"minus zero", "ties", "overflow", "top binade"} <= set(found)


def test_apytypes_is_ieee_but_its_cast_loses_what_rounds_up_to_the_smallest_normal(measured):
    pytest.importorskip("apytypes")
    whole = measured("apytypes", "e4m3fn")
    assert (str(whole.convention), whole.remaining) == ("e4m3ieee", 0)
    lost = measured("apytypes cast", "e5m2")
    if lost.differing:  # a fault of version 0.5.1
        assert set(kinds(lost)) == {"subnormals"}
        assert lost.differences[0].theirs in ("0.0", "-0.0")
    assert measured("apytypes", "e5m2").sign == "="
