"""The histogram kernels against NumPy, and the bounds of a bin against values chosen at will."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.kernels import block_histograms, errors, histograms, moments, pyramids
from workbench.kernels.threads import set_threads

VALUES = arrays.arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32))


@given(VALUES)
def test_the_prefix_histogram_counts_patterns(x):
    bits = x.view(np.uint32).astype(np.int64)
    prefix, rest = bits >> 16, bits & 0xFFFF
    counts, sums, squares = histograms.prefix_histogram(x)
    np.testing.assert_array_equal(counts, np.bincount(prefix, minlength=1 << 16))
    for found, power in ((sums, 1), (squares, 2)):
        expected = np.zeros(1 << 16, np.int64)
        np.add.at(expected, prefix, rest**power)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_long_arrays_overflow_no_counter(threads):
    set_threads(threads)
    x = np.full((1 << 23) * 2 + 5, -np.float32(1.00390613079071))  # all lower bits set
    counts, sums, squares = histograms.prefix_histogram(x)
    set_threads(None)
    place = int(np.flatnonzero(counts)[0])
    rest = int(x[:1].view(np.uint32)[0]) & 0xFFFF
    found = int(counts[place]), int(sums[place]), int(squares[place])
    assert found == (x.size, x.size * rest, x.size * rest * rest)


def test_read_only_and_float64_arrays():
    x = np.linspace(-3, 3, 1001)
    narrow = x.astype(np.float32)
    narrow.flags.writeable = False
    for one, other in zip(
        histograms.prefix_histogram(x), histograms.prefix_histogram(narrow), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@given(VALUES)
def test_the_extremes_are_exact(x):
    low, high = histograms.extremes(x, *histograms.prefix_histogram(x))
    finite = x[np.isfinite(x)]
    expected = (finite.min(), finite.max()) if finite.size else (np.inf, -np.inf)
    assert (low, high) == expected


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12),
    st.floats(0.25, 8),
    st.floats(0.1, 3),
    st.integers(0, 1),
)
def test_the_bounds_hold_whatever_lies_in_a_bin(places, low, scale, side):
    width = low / 4
    values = np.array([-2.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
    middles = 0.5 * (values[1:] + values[:-1])
    ladder = (middles, values, -middles[::-1], -values[::-1], np.array([7.0, 3.0]))
    offset = np.array(places) * width * 0.999
    x = (low + offset) * (1 - 2 * side)
    y = values[np.abs(x[:, None] / scale - values).argmin(axis=1)] * scale
    exact = ((x - y) ** 2).sum()
    sums = np.array([[x.size, offset.sum(), (offset**2).sum()]])
    bin_ = (np.array([low]), np.array([width]), np.array([side]))
    row = moments.bin_errors(*bin_, sums, np.array([scale]), ladder)[0]
    slack = 1e-9 * (x * x).sum()
    assert row[moments.LOWER] - slack <= exact <= row[moments.UPPER] + slack
    assert row[moments.LOWER] - slack <= row[:3].sum() <= row[moments.UPPER] + slack
    assert row[moments.WORST] >= np.abs(x - y).max() - 1e-9


@pytest.mark.parametrize("powers", [True, False])
def test_block_cells_hold_the_energy_of_all_blocks(powers):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((40, 50)) * 2.0 ** rng.integers(-9, 9, (40, 1))).astype(np.float32)
    reference = np.maximum.reduceat(np.abs(x), np.arange(0, 50, 16), axis=1)
    grid = block_histograms.grid_of(7, 5, 40)
    cuts = np.array([1, 1 << 22])
    cells, sizes = block_histograms.block_cells(x, 16, reference, cuts, powers, grid)
    assert cells[..., 0].sum() == sizes.sum() == x.size
    low, _ = block_histograms.grid_edges(grid)
    weight, first, second = (cells[..., k] for k in (1, 2, 3))
    energy = (weight * low**2 + 2 * low * first + second).sum()
    assert energy == pytest.approx((x.astype(float) ** 2).sum(), rel=1e-6)
    assert cells[:, 2:, :, 0].sum() == reference.size  # the largest value of every block
    assert (cells[:, [1, 3], :, 0].sum()) == np.count_nonzero(x < 0)


def test_channel_counts_and_pools():
    x = np.random.default_rng(1).standard_normal((30, 130, 3))
    keys, counts, low, high = pyramids.channel_counts(x)
    assert np.all(counts.sum(axis=1) == 90)
    key = x[:, 7].astype(np.float32).view(np.uint32).reshape(-1) >> 20
    np.testing.assert_array_equal(counts[7], [(key == k).sum() for k in keys])
    assert low[7] == x[:, 7].astype(np.float32).min()
    assert high[7] == x[:, 7].astype(np.float32).max()
    pooled, rows, columns = pyramids.pool_magnitudes(x[:, :, 0], 7, 50)
    assert pooled.shape == (5, 3)
    np.testing.assert_array_equal(rows, np.abs(x[:, :, 0]).max(axis=1).astype(np.float32))
    np.testing.assert_array_equal(columns, np.abs(x[:, :, 0]).max(axis=0).astype(np.float32))


def test_error_sums_split_by_cause():
    x = np.array([3.0, 0.1, 1.2, np.nan, np.inf])
    y = np.array([2.0, 0.0, 1.0, np.nan, 2.0])
    one = np.ones(5)
    sums = errors.error_sums(x, y, y, one, 0 * one, (-2.5, 2.5))
    got = dict(zip(errors.FIELDS, sums, strict=True))
    assert (got["finite"], got["nan"], got["infinite"]) == (3, 1, 1)
    assert got["clipping"] == 1
    assert got["underflow"] == pytest.approx(0.01)
    assert got["rounding"] == pytest.approx(0.04)
    assert got["largest"] == 1
