"""Canonical correlations: exact on small cases, blind to invertible maps, chance's level."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.metrics import canonical_correlations, mean_correlation


def test_one_channel_each_is_the_plain_correlation():
    random = np.random.default_rng(0)
    x = random.standard_normal(200)
    y = 0.3 * x + random.standard_normal(200)
    expected = abs(np.corrcoef(x, y)[0, 1])
    assert canonical_correlations(x[:, None], y[:, None]) == pytest.approx([expected], rel=1e-9)
    assert mean_correlation(x[:, None], -7 * y[:, None] + 3) == pytest.approx(expected, rel=1e-9)


def test_channels_that_are_made_to_correlate():
    """Pairs of channels with a share of common noise, exact for orthonormal columns."""
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((64, 7)))[0]
    basis = np.linalg.qr(basis - basis.mean(0))[0]
    common = np.array([0.9, 0.5, 0.1])
    x = basis[:, :3]
    y = common * x + np.sqrt(1 - common**2) * basis[:, 3:6]
    assert canonical_correlations(x, y) == pytest.approx(common, abs=1e-9)
    assert canonical_correlations(x, basis[:, 6:]) == pytest.approx([0.0], abs=1e-9)


def test_it_is_what_the_covariances_say():
    random = np.random.default_rng(1)
    x, y = random.standard_normal((300, 4)), random.standard_normal((300, 3))
    y += x[:, :3] @ random.standard_normal((3, 3))
    xx, yy = np.cov(x.T), np.cov(y.T)
    xy = np.cov(np.hstack([x, y]).T)[:4, 4:]
    squares = np.linalg.eigvals(np.linalg.solve(yy, xy.T) @ np.linalg.solve(xx, xy))
    expected = np.sqrt(np.sort(squares.real)[::-1])
    assert canonical_correlations(x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("condition", [1.0, 1e3])
def test_an_invertible_map_changes_nothing(condition):
    random = np.random.default_rng(2)
    x, y = random.standard_normal((2000, 20)), random.standard_normal((2000, 20))
    left, _, right = np.linalg.svd(random.standard_normal((20, 20)))
    matrix = left * np.geomspace(1, condition, 20) @ right
    assert mean_correlation(x, x @ matrix + 5) == pytest.approx(1, abs=1e-9)
    before = canonical_correlations(x, y)
    assert canonical_correlations(x @ matrix - 3, y) == pytest.approx(before, abs=1e-9)
    assert canonical_correlations(y, x) == pytest.approx(before, abs=1e-12)


def test_independent_rows_have_a_level_of_chance():
    """About 8 / (3 pi) sqrt(20 / 2000), the mean singular value of a square of normal values."""
    found = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        pair = random.standard_normal((2, 2000, 20))
        found.append(mean_correlation(*pair))
        assert 0.075 < found[-1] < 0.095
    assert np.mean(found) == pytest.approx(0.087, abs=0.004)


def test_channels_that_say_nothing_are_left_out():
    random = np.random.default_rng(3)
    x = random.standard_normal((500, 3)).astype(np.float32)
    more = np.concatenate([x, x @ [[1.0], [2.0], [0.0]], np.full((500, 1), 4.0)], axis=1)
    assert canonical_correlations(more, x) == pytest.approx([1, 1, 1], abs=1e-6)
    assert canonical_correlations(1e-6 * x, 1e6 * x) == pytest.approx([1, 1, 1], abs=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "why"),
    [
        (np.eye(4), np.eye(5), "compared row by row"),
        (np.eye(4), np.ones((4, 2)), "2 channels that are constant"),
        (np.eye(4)[:, :2], np.eye(4)[:, 2:], "by chance → give 16 rows or more"),
        ([[np.nan, 1.0], [0.0, 1.0]], np.eye(2), "NaN or infinite"),
        (np.ones((1, 3)), np.ones((1, 3)), "two rows"),
    ],
)
def test_what_cannot_be_compared_is_refused(x, y, why):
    with pytest.raises(WorkbenchError, match=why):
        canonical_correlations(x, y)
