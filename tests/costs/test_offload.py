"""Training from a drive: bytes are conserved, limits are limits, and the best share is the best."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.costs.offload import Offload
from workbench.errors import WorkbenchError

USUAL = Offload(13e9, 2 * 13e9 * 8192, 200e9, 165e12, 25e9, 24e9, 12e9)
sizes = st.floats(1e-3, 1e3)
steps = st.builds(
    lambda *by: Offload(*(value * scale for value, scale in zip(vars(USUAL).values(), by,
                                                                strict=True))),
    *[sizes] * 7,
)  # fmt: skip


def test_bytes_are_those_of_the_published_budget():
    moved, weights = USUAL.traffic(0.0), USUAL.parameters
    assert moved == {
        "to the device": 4 * weights, "to the host": 2 * weights,
        "read": (4 + 12) * weights, "write": 14 * weights,
    }  # fmt: skip


@given(steps, st.floats(0, 1))
def test_what_is_swapped_goes_out_and_comes_back(step, swapped):
    none, some = step.traffic(0.0), step.traffic(swapped)
    kept = swapped * step.activations
    for name, before in none.items():
        assert some[name] == pytest.approx(before + kept, rel=1e-9)


@given(steps, st.floats(0, 1))
def test_overlapping_is_never_slower(step, swapped):
    parts = step.seconds(swapped)
    assert max(parts.values()) == step.time(swapped)
    assert step.time(swapped) <= step.time(swapped, overlapped=False) <= 4 * step.time(swapped)


@given(steps)
def test_the_best_share_is_as_good_as_any(step):
    best = step.best
    tried = [*np.linspace(0, 1, 201), max(best - 1e-4, 0), min(best + 1e-4, 1)]
    assert step.time(best) <= min(map(step.time, tried)) * (1 + 1e-12)


def test_a_drive_without_limit_leaves_the_link():
    fast = replace(USUAL, read=1e30, write=1e30, peak=1e30)
    assert fast.bound == "to the device"
    assert fast.time(fast.best) == pytest.approx(4 * USUAL.parameters / USUAL.link)
    assert replace(USUAL, peak=1e9).bound == "compute"
    assert replace(USUAL, peak=1e9, activations=1.0).best == 1


@pytest.mark.parametrize(
    ("name", "value"), [("link", 0), ("parameters", -1), ("peak", float("nan"))]
)
def test_sizes_are_above_nothing(name, value):
    with pytest.raises(WorkbenchError, match=name):
        replace(USUAL, **{name: value})
    with pytest.raises(WorkbenchError, match="it is a share"):
        USUAL.traffic(1.5)
