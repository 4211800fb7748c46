"""Histograms count and grids hold what the data and the formats say."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.views.summaries import Histogram, grid_of, local_steps


@pytest.fixture
def unit_bins() -> Histogram:
    """Ten values in each of the bins [0, 1), [1, 2), [2, 3) and five exact zeros."""
    low, high = np.array([0.0, 0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0, 3.0])
    return Histogram(low, high, np.array([5, 10, 10, 10]))


def test_values_below_a_limit_are_counted(unit_bins):
    assert unit_bins.below([-1.0, 0.0, 0.5, 1.0, 2.5, 9.0]).tolist() == [0, 0, 10, 15, 30, 35]


def test_occupancy_adds_up_to_all_values(unit_bins):
    for name in ("e4m3fn", "int4", "nf4", "e2m1"):
        grid = grid_of(wb.format(name), 0.25)
        assert grid.occupancy(unit_bins).sum() == pytest.approx(unit_bins.total)


def test_occupancy_agrees_with_rounding_every_value():
    x = np.random.default_rng(0).standard_normal(20000).astype(np.float32)
    histogram = Histogram(*wb.sketch(x).bins())
    fmt = wb.format("e3m2")
    grid = grid_of(fmt, 0.1)
    exact = np.bincount(np.searchsorted(fmt.values, fmt.round(x / np.float32(0.1))), minlength=63)
    assert np.abs(grid.occupancy(histogram) - exact).max() < 60  # of 20,000
    assert grid.unused(histogram) == np.count_nonzero(exact == 0)


def test_an_empty_histogram_has_no_values():
    empty = Histogram(np.zeros(0), np.zeros(0), np.zeros(0))
    assert empty.total == empty.largest == empty.typical == 0
    assert empty.below([1.0]).tolist() == [0.0]


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_that_cannot_be_is_refused(scale):
    with pytest.raises(WorkbenchError, match="scale"):
        grid_of(wb.format("int8"), scale)


def test_specials_and_subnormals_of_known_formats():
    e4m3, e5m2, int8 = (grid_of(wb.format(n)) for n in ("e4m3fn", "e5m2", "int8"))
    assert e4m3.specials == ("NaN ×2", "−0")
    assert e5m2.specials == ("NaN ×6", "±∞", "−0")
    assert int8.specials == ()
    assert e4m3.subnormal.sum() == 14
    assert not int8.subnormal.any()


def test_steps_are_the_distance_of_the_neighbours_with_their_sign():
    nf4 = wb.format("nf4")
    inside = 0.5 * (nf4.values[1:] + nf4.values[:-1])
    assert local_steps(nf4, inside) == pytest.approx(np.diff(nf4.values))


def test_neighbours_of_a_probe():
    grid = grid_of(wb.format("e2m1"))
    assert grid.neighbours(2.5) == (2.0, 3.0)
    assert grid.neighbours(2.0) == (2.0, 2.0)
    assert grid.neighbours(99.0) == (6.0, 6.0)
