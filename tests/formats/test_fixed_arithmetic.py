"""Fixed-point sums and products against Python's whole numbers, and the guide's own examples."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.formats.fixed_arithmetic import (
    OVERFLOWS,
    QUANTIZATIONS,
    FixedType,
    accumulate,
    add,
    fixed_type,
    multiply,
)

COUNT = 50_000  # sums, and as many products, for each of the 28 pairs of modes; a tenth unsigned

# The rules by exact fractions: what a value in steps becomes.
EXACT = {
    "RND": lambda v: floor(v + Fraction(1, 2)),
    "RND_MIN_INF": lambda v: ceil(v - Fraction(1, 2)),
    "RND_ZERO": lambda v: ceil(v - Fraction(1, 2)) if v > 0 else floor(v + Fraction(1, 2)),
    "RND_INF": lambda v: floor(v + Fraction(1, 2)) if v > 0 else ceil(v - Fraction(1, 2)),
    "RND_CONV": round,
    "TRN": floor,
    "TRN_ZERO": int,
}


def brought_in(code: int, low: int, high: int, overflow: str, sign: bool) -> int:
    """A whole number of steps in the range of a type."""
    if overflow == "WRAP":
        return (code - low) % (high - low + 1) + low
    if overflow == "SAT_ZERO":
        return code if low <= code <= high else 0
    return min(max(code, -high if sign and overflow == "SAT_SYM" else low), high)


def whole_number_model(code: int, dropped: int, quantization: str) -> int:
    """A code with `dropped` bits too many, rounded by shifts of Python's integers."""
    down, unit = code >> dropped, 1 << dropped
    rest = code - (down << dropped)
    if quantization == "TRN":
        return down
    if quantization == "TRN_ZERO":
        return down + (code < 0 < rest)
    tie = {
        "RND": True, "RND_MIN_INF": False, "RND_ZERO": code < 0, "RND_INF": code > 0,
        "RND_CONV": down % 2 == 1,
    }[quantization]  # fmt: skip
    return down + (2 * rest > unit or (2 * rest == unit and tie))


@pytest.fixture(scope="module")
def operands():
    rng = np.random.default_rng(0)
    types = FixedType(12, 4), FixedType(10, 6)
    return types, *(rng.integers(t.low, t.high + 1, COUNT) for t in types)


@pytest.mark.parametrize("sign", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
@pytest.mark.parametrize("operation", [add, multiply])
def test_every_mode_is_that_of_whole_numbers(operation, quantization, sign, operands):
    types, a, b = operands
    a, b = (a, b) if sign else (a[: COUNT // 10], b[: COUNT // 10])
    small = FixedType(8, 5, sign)
    if operation is add:
        point = 8
        exact = [x + y * 16 for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    else:
        point = 8 + 4
        exact = [x * y for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    rounded = [whole_number_model(c, point - small.fraction, quantization) for c in exact]
    for overflow in OVERFLOWS:
        out = FixedType(8, 5, sign, quantization, overflow)
        want = [brought_in(c, out.low, out.high, overflow, sign) for c in rounded]
        assert operation(a, b, types, out).tolist() == want
        values = np.ldexp(np.array(exact, np.float64), -point)
        assert out.encode(values).tolist() == want


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_the_model_of_shifts_is_that_of_fractions(quantization):
    for code in range(-200, 201):
        for dropped in (1, 2, 5):
            want = EXACT[quantization](Fraction(code, 1 << dropped))
            assert whole_number_model(code, dropped, quantization) == want


# Vitis HLS user guide UG1399, "Quantization modes" and "Overflow modes".
GUIDE = [
    ("ap_fixed<3,2,AP_RND,AP_SAT>", 1.25, 1.5), ("ap_fixed<3,2,AP_RND,AP_SAT>", -1.25, -1.0),
    ("ap_fixed<3,2,AP_RND_ZERO,AP_SAT>", 1.25, 1.0),
    ("ap_fixed<3,2,AP_RND_ZERO,AP_SAT>", -1.25, -1.0),
    ("ap_fixed<3,2,AP_RND_MIN_INF,AP_SAT>", 1.25, 1.0),
    ("ap_fixed<3,2,AP_RND_MIN_INF,AP_SAT>", -1.25, -1.5),
    ("ap_fixed<3,2,AP_RND_INF,AP_SAT>", 1.25, 1.5),
    ("ap_fixed<3,2,AP_RND_INF,AP_SAT>", -1.25, -1.5),
    ("ap_fixed<3,2,AP_RND_CONV,AP_SAT>", 0.75, 1.0),
    ("ap_fixed<3,2,AP_RND_CONV,AP_SAT>", -1.25, -1.0),
    ("ap_fixed<3,2,AP_TRN,AP_SAT>", 1.25, 1.0), ("ap_fixed<3,2,AP_TRN,AP_SAT>", -1.25, -1.5),
    ("ap_fixed<3,2,AP_TRN_ZERO,AP_SAT>", 1.25, 1.0),
    ("ap_fixed<3,2,AP_TRN_ZERO,AP_SAT>", -1.25, -1.0),
    ("ap_fixed<4,4,AP_RND,AP_SAT>", 19.0, 7.0), ("ap_fixed<4,4,AP_RND,AP_SAT>", -19.0, -8.0),
    ("ap_ufixed<4,4,AP_RND,AP_SAT>", 19.0, 15.0), ("ap_ufixed<4,4,AP_RND,AP_SAT>", -19.0, 0.0),
    ("ap_fixed<4,4,AP_RND,AP_SAT_ZERO>", 19.0, 0.0),
    ("ap_ufixed<4,4,AP_RND,AP_SAT_ZERO>", -19.0, 0.0),
    ("ap_fixed<4,4,AP_RND,AP_SAT_SYM>", 19.0, 7.0),
    ("ap_fixed<4,4,AP_RND,AP_SAT_SYM>", -19.0, -7.0),
    ("ap_ufixed<4,4,AP_RND,AP_SAT_SYM>", 19.0, 15.0),
    ("ap_ufixed<4,4,AP_RND,AP_SAT_SYM>", -19.0, 0.0),
    ("ap_fixed<4,4,AP_RND,AP_WRAP>", 31.0, -1.0), ("ap_fixed<4,4,AP_RND,AP_WRAP>", -19.0, -3.0),
    ("ap_ufixed<4,4,AP_RND,AP_WRAP>", 19.0, 3.0), ("ap_ufixed<4,4,AP_RND,AP_WRAP>", -19.0, 13.0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "x", "want"), GUIDE)
def test_examples_of_the_guide(text, x, want):
    assert fixed_type(text).round([x]).tolist() == [want]
    assert str(fixed_type(text)) == text


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_floats_next_to_a_tie_are_not_ties(quantization):
    out = FixedType(8, 8, quantization=quantization, overflow="SAT")
    for tie in (0.5, -0.5, 1.5, -2.5):
        for x in (np.nextafter(tie, -9), tie, np.nextafter(tie, 9), 2.0**-80, -(2.0**-80)):
            assert out.encode([x]) == EXACT[quantization](Fraction(float(x)))


def test_values_far_outside_wrap_by_their_low_bits():
    out = FixedType(8, 8)
    for x in (2.0**70, -(2.0**70) + 2.0**20, 2.0**60 + 2.0**9, -300.0):
        assert out.encode([x]) == brought_in(int(x), out.low, out.high, "WRAP", True)


def test_tensors_and_float32_come_back_as_they_were():
    torch = pytest.importorskip("torch")
    q = fixed_type("ap_fixed<6,2,AP_RND_CONV,AP_SAT>")
    x = torch.randn(5, 7)
    y = q.round(x)
    assert isinstance(y, torch.Tensor)
    assert y.dtype == torch.float32
    assert np.array_equal(y.numpy(), q.round(x.numpy()))
    assert q.round(x.numpy()).dtype == np.float32


def test_a_chain_of_full_products_overflows_and_of_short_ones_does_not():
    """[16]: 15 bits of magnitude leave room for 2 to 4 products, 13-bit operands for thousands."""
    import workbench as wb

    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 4096)).astype(np.float32)
    stored = [wb.scheme("dfp16").quantize(v) for v in (a, b)]
    whole = [np.rint(q.dequantize() / q.scales[0, 0]).astype(np.int64) for q in stored]
    with pytest.raises(WorkbenchError, match=r"leaves 32 bits at product \d+ →"):
        accumulate(whole[0], whole[0])
    short = [w >> 3 for w in whole]
    assert accumulate(*short) == int(short[0] @ short[1])
    worst = np.full(8, np.abs(whole[0]).max())
    room = 2**31 // int(worst[0]) ** 2
    assert 2 <= room <= 4
    accumulate(worst[:room], worst[:room])
    with pytest.raises(WorkbenchError, match=f"at product {room + 1}"):
        accumulate(worst, worst)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: fixed_type("fixed<8,3>"), "ap_fixed<8,3,AP_RND,AP_SAT>"),
        (lambda: FixedType(8, 3, quantization="ROUND"), "quantization mode"),
        (lambda: fixed_type("ap_fixed<8,3,AP_TRN,AP_WRAP_SM>"), "overflow mode"),
        (lambda: FixedType(40, 3), "2 to 32 bits"),
        (lambda: FixedType(8, 3).encode([np.nan]), "NaN or infinite"),
        (lambda: add(np.ones(1, int), np.ones(1, int), (FixedType(8, 60), FixedType(8, -9)),
                     FixedType(8, 8)), "an exact sum of"),
        (lambda: multiply(np.ones(1, int), np.ones(1, int), (FixedType(32, 1),) * 2,
                          FixedType(8, 8)), "an exact product of 64 bits"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make, said):
    with pytest.raises(WorkbenchError, match=said):
        make()
