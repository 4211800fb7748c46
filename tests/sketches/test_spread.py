"""Densities, quantiles and pyramids against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench import metrics
from workbench.errors import WorkbenchError
from workbench.sketches import ChannelHistogram, Pyramid


def _data(seed: int = 0, shape: tuple[int, ...] = (400, 48)) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(3, shape).astype(np.float32)


@pytest.mark.parametrize("per_octave", [1, 8, 128])
def test_the_histogram_counts_every_value_once(per_octave):
    x = _data()
    x[:50] = 0
    edges, share = wb.sketch(x).histogram(per_octave)
    assert np.all(np.diff(edges) > 0)
    assert share.sum() == pytest.approx(1)
    inside, _ = np.histogram(x, edges)  # negative bins are open below, so a few sit on an edge
    np.testing.assert_allclose(share * x.size, inside, atol=3)


def test_the_histogram_of_nothing_and_of_zeros():
    edges, share = wb.sketch(np.zeros(0, np.float32)).histogram()
    assert (edges.size, share.size) == (1, 0)
    edges, share = wb.sketch(np.zeros(4, np.float32)).histogram()
    assert share.tolist() == [1.0]
    assert edges[0] < 0 < edges[1]
    with pytest.raises(WorkbenchError, match="powers of two"):
        wb.sketch(np.ones(4)).histogram(3)


def test_shares_of_an_interval():
    x = _data()
    sketch = wb.sketch(x)
    for low, high in ((-1, 1), (0.3, 0.7), (2, 1e9), (-0.01, 0.0)):
        exact = np.mean((x >= low) & (x < high))
        assert sketch.share(low, high) == pytest.approx(exact, abs=2e-3)
    assert sketch.share(1, 1) == 0
    assert sketch.share(-np.inf, np.inf) == pytest.approx(1)


def test_bins_are_ascending_and_hold_all_values():
    x = _data()
    low, high, counts = wb.sketch(x).bins()
    assert np.all(low <= high)
    assert np.all(low[1:] >= high[:-1])
    assert counts.sum() == x.size
    assert (low[0], high[-1]) == (x.min(), x.max())


@pytest.mark.parametrize("name", ["int4", "e2m1", "e4m3fn", "int8", "mxfp4", "nvfp4"])
def test_the_share_of_unused_codes(name):
    x, scheme = _data(), wb.scheme(name)
    exact = metrics.unused_codes(scheme.quantize(x))
    read = wb.sketch(x, schemes=[scheme]).unused_codes(scheme)
    # a bin cut by a threshold counts for both sides
    assert exact - 0.1 <= read <= exact + 1e-12


@pytest.mark.parametrize(("shape", "axis"), [((300, 20), 1), ((20, 300), 0), ((5, 20, 60), 1)])
def test_quantiles_of_channels_lie_within_the_bound(shape, axis):
    x = _data(1, shape)
    fan = ChannelHistogram.of(x, axis)
    rows = np.moveaxis(x, axis, 0).reshape(20, -1)
    shares = [0, 0.05, 0.25, 0.5, 0.95, 0.99, 1]
    exact = np.quantile(rows, shares, axis=1, method="lower")
    upper = np.quantile(rows, shares, axis=1, method="higher")
    read = fan.quantiles(shares)
    slack = fan.bound * np.maximum(np.abs(exact), np.abs(upper))
    assert np.all(read >= exact - slack)
    assert np.all(read <= upper + slack)
    np.testing.assert_array_equal(read[[0, -1]], [rows.min(axis=1), rows.max(axis=1)])
    middle = np.quantile(np.abs(rows), 0.9, axis=1)
    np.testing.assert_allclose(fan.magnitude_quantiles([0.9])[0], middle, rtol=fan.bound)
    np.testing.assert_array_equal(fan.amax, np.abs(rows).max(axis=1))


def test_channels_with_nan_and_empty_ones():
    x = np.float32([[1, np.nan, 0], [2, np.nan, -0.0], [np.inf, np.nan, 0]])
    fan = ChannelHistogram.of(x)
    assert fan.n_special.tolist() == [1, 3, 0]
    assert fan.quantiles([0.0, 0.5, 1.0])[:, 1].tolist() == [0, 0, 0]
    assert fan.amax.tolist() == [2, 0, 0]
    assert ChannelHistogram.of(np.zeros((0, 3), np.float32)).quantiles([0.5]).tolist() == [[0] * 3]
    with pytest.raises(WorkbenchError, match="use -2 to 1"):
        ChannelHistogram.of(x, 2)


@pytest.mark.parametrize("shape", [(1, 1), (3, 1000), (1025, 513), (2, 600, 700)])
def test_the_pyramid_is_a_maximum_everywhere(shape):
    x = _data(2, shape)
    pyramid, matrix = Pyramid.of(x), np.abs(x.reshape(-1, shape[-1]))
    assert pyramid.shape == matrix.shape
    assert max(pyramid.pooled.shape) <= 512
    assert pyramid.pooled.max() == matrix.max()
    np.testing.assert_array_equal(pyramid.row_max, matrix.max(axis=1))
    np.testing.assert_array_equal(pyramid.column_max, matrix.max(axis=0))
    height = -(-matrix.shape[0] // 512)
    down = np.maximum.reduceat(matrix, np.arange(0, matrix.shape[0], height), axis=0)
    pooled = np.maximum.reduceat(down, np.arange(0, matrix.shape[1], pyramid.width), axis=1)
    np.testing.assert_array_equal(pyramid.pooled, pooled)
    best = np.sort(matrix, axis=None)[::-1][:64]
    np.testing.assert_array_equal(np.abs(pyramid.top_values), best)
    signed = x.reshape(-1, shape[-1])[tuple(pyramid.top.T)]
    np.testing.assert_array_equal(pyramid.top_values, signed)
    assert pyramid.level(3).max() == matrix.max()


def test_pyramids_of_special_values():
    x = np.float32([[1, np.nan], [-np.inf, 2]])
    pyramid = Pyramid.of(x)
    assert pyramid.pooled.tolist() == [[1, np.inf], [np.inf, 2]]
    assert pyramid.top_values.tolist() == [2, 1]
    empty = Pyramid.of(np.zeros((0, 4), np.float32))
    assert empty.shape == (0, 4)
    assert empty.level(2).size == 0
    assert empty.top.shape == (0, 2)


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_values_are_those_of_a_sort_also_where_many_are_equal(seed):
    random = np.random.default_rng(seed)
    matrix = np.round(random.standard_normal((1200, 700))).astype(np.float32)
    matrix[random.random(matrix.shape) < 1e-4] = np.inf
    size = np.where(np.isfinite(matrix), np.abs(matrix), -1).reshape(-1)
    order = np.argsort(-size, kind="stable")
    top = Pyramid.of(matrix).top
    assert np.array_equal(top, np.column_stack(np.divmod(order[: len(top)], 700)))
