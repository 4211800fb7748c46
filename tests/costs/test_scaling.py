"""The law of loss over bits: known laws come back, intervals hold them, and sizes are formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.costs import fit_scaling, memory_saved, stored_bits
from workbench.errors import WorkbenchError

BITS = np.array([2, 3, 4, 8, 16])


@given(st.floats(0.05, 50), st.floats(0.4, 7), st.floats(-1, 6))
@settings(max_examples=60, deadline=None)
def test_a_known_law_comes_back(a, b, c):
    law = fit_scaling(BITS, a * BITS**-b + c)
    assert law.a == pytest.approx(a, rel=0.01)
    assert law.b == pytest.approx(b, rel=0.01)
    assert law.c == pytest.approx(c, rel=0.01, abs=1e-4 * a)
    assert law.loss(5) == pytest.approx(a * 5**-b + c, rel=1e-4, abs=1e-6)


def test_a_known_law_comes_back_under_noise():
    bits, random = np.array([2, 3, 4, 5, 6, 8, 12, 16]), np.random.default_rng(0)
    exact = 3 * bits**-2.0 + 2
    law = fit_scaling(bits, exact + 1e-3 * random.standard_normal(8))
    assert (law.a, law.b, law.c) == pytest.approx((3, 2, 2), rel=0.01)
    assert law.spread == pytest.approx(1e-3, rel=0.6)


def test_intervals_hold_the_truth_as_often_as_they_say():
    bits, random = np.array([2, 3, 4, 5, 6, 8, 12, 16]), np.random.default_rng(1)
    truth, held = (3.0, 2.0, 2.0), np.zeros(3)
    for _ in range(200):
        law = fit_scaling(bits, 3 * bits**-2.0 + 2 + 3e-3 * random.standard_normal(8))
        held += [low <= v <= high for v, (low, high) in zip(truth, law.intervals, strict=True)]
    assert (held >= 0.9 * 200).all()
    assert (held <= 0.99 * 200).all()


def test_intervals_narrow_with_more_points():
    random, widths = np.random.default_rng(2), []
    for count in (6, 60):
        bits = np.linspace(2, 16, count)
        law = fit_scaling(bits, 3 * bits**-2.0 + 2 + 1e-3 * random.standard_normal(count))
        widths.append([high - low for low, high in law.intervals])
    assert all(wide > 1.5 * narrow for wide, narrow in zip(*widths, strict=True))


def test_three_points_leave_no_interval():
    law = fit_scaling([2, 3, 4], [3.0, 2.0, 1.5])
    assert (law.a, law.b, law.c) == pytest.approx((6, 1, 0), abs=1e-6)
    assert all(low == -np.inf and high == np.inf for low, high in law.intervals)
    assert law.spread == 0


def test_the_bits_of_a_loss_are_the_inverse():
    law = fit_scaling(BITS, 3 * BITS**-2.5 + 1)
    for bits in (1.5, 4.25, 20):
        assert law.bits(float(law.loss(bits))) == pytest.approx(bits, rel=1e-4)
    with pytest.raises(WorkbenchError, match="stays above 1"):
        law.bits(0.9)


@pytest.mark.parametrize(
    ("bits", "losses", "why"),
    [
        ([2, 3], [1, 2], "takes three bits or more"),
        ([2, 2, 3, 3], [1, 1, 2, 2], "takes three bits or more"),
        ([2, 3, 4], [1, 2], "3 bits and 2 losses"),
        ([2, 3, 4], [1, np.nan, 2], "losses are finite"),
        ([0, 3, 4], [3, 2, 1], "bits finite and above 0"),
        ([2, 3, 4], [1, 1, 1], "all alike"),
        ([2, 3, 4, 8], [1, 2, 3, 4], "do not fall with bits"),
    ],
)
def test_what_has_no_such_law_is_refused(bits, losses, why):
    with pytest.raises(WorkbenchError, match=why):
        fit_scaling(bits, losses)


def test_memory_that_group_scales_leave():
    assert stored_bits(4) == 4 + 32 / 128
    assert f"{memory_saved(stored_bits(4)):.1%}" == "73.4%"
    assert f"{memory_saved(stored_bits(2)):.1%}" == "85.9%"
    assert memory_saved(16) == 0
