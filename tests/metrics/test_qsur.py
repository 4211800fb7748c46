"""The utilisation of the quantizer's cube: known values, Monte Carlo, and the limits of theory."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from workbench import metrics
from workbench.errors import WorkbenchError
from workbench.metrics.qsur import Qsur, ellipsoid_radius

LONG = np.diag([4.0, 1.0])
TILTED = np.array([[2.0, 0.9], [0.9, 0.7]])


def covariance(channels: int, seed: int = 0) -> np.ndarray:
    """A covariance whose eigenvalues span a hundredfold, in random directions."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((channels, channels)))[0]
    return (axes * np.exp(rng.uniform(-2.3, 2.3, channels))) @ axes.T


def test_a_long_ellipse_is_rotated_and_then_whitened():
    rotated = metrics.transformed(LONG, metrics.spreading_rotation(LONG))
    white = metrics.transformed(LONG, metrics.whitening(LONG))
    exact = [metrics.qsur(c).ratio for c in (LONG, rotated, white)]
    assert exact == pytest.approx([math.pi / 8, math.pi / 5, math.pi / 4], rel=1e-12)
    published = [metrics.published_qsur(c).ratio for c in (LONG, rotated, white)]
    assert published == pytest.approx([math.pi / 8, math.pi / 4, math.pi / 4], rel=1e-12)


def test_the_published_approximation_can_exceed_one():
    """A hair more variance along the diagonal makes that direction the longest axis."""
    white = np.eye(2) + 1e-6 * np.ones((2, 2))
    assert metrics.published_qsur(white).ratio == pytest.approx(math.pi / 2, rel=1e-5)
    assert metrics.qsur(white).ratio == pytest.approx(math.pi / 4, rel=1e-5)


@pytest.mark.parametrize("channels", [2, 16, 64])
def test_without_a_longest_axis_the_one_that_reaches_furthest_is_taken(channels):
    c = covariance(channels)
    white = metrics.transformed(c, metrics.whitening(c))
    assert metrics.published_qsur(white).ln == pytest.approx(metrics.best_by_both(channels).ln)


@pytest.mark.parametrize("mean", [None, [3.0, -1.0]])
@pytest.mark.parametrize("level", [0.5, 0.99])
def test_points_thrown_into_the_cube_agree(mean, level):
    centre = np.zeros(2) if mean is None else np.array(mean)
    half = ellipsoid_radius(level, 2) * np.sqrt(np.diag(TILTED))
    low, high = (centre - half).min(), (centre + half).max()
    points = np.random.default_rng(0).uniform(low, high, (1_000_000, 2)) - centre
    inside = np.einsum("ij,ij->i", points @ np.linalg.inv(TILTED), points)
    share = (inside <= ellipsoid_radius(level, 2) ** 2).mean()
    assert metrics.qsur(TILTED, mean, level).ratio == pytest.approx(share, rel=0.01)


def test_three_channels_agree_with_points_too():
    c = covariance(3)
    half = math.sqrt(np.diag(c).max())
    points = np.random.default_rng(1).uniform(-half, half, (1_000_000, 3))
    share = (np.einsum("ij,ij->i", points @ np.linalg.inv(c), points) <= 1).mean()
    assert metrics.qsur(c).ratio == pytest.approx(share, rel=0.02)


def test_the_ellipsoid_holds_the_level():
    x = np.random.default_rng(2).standard_normal((200_000, 5))
    assert ((x**2).sum(1) <= ellipsoid_radius(0.9, 5) ** 2).mean() == pytest.approx(0.9, abs=3e-3)


@pytest.mark.parametrize("channels", [4, 16, 64])
def test_no_random_rotation_is_better_than_the_spreading_one(channels):
    c = covariance(channels)
    best = metrics.best_by_rotation(c)
    assert metrics.qsur_after(c, metrics.spreading_rotation(c)).ln == pytest.approx(best.ln)
    rotations = ortho_group.rvs(channels, 50, random_state=0)
    others = [metrics.qsur_after(c, rotation).ln for rotation in rotations]
    assert max(others) < best.ln
    assert metrics.qsur(c).ln < best.ln


@pytest.mark.parametrize("channels", [1, 2, 3, 12, 37, 64])
def test_the_spreading_rotation_makes_all_variances_equal(channels):
    c = covariance(channels, seed=channels)
    rotation = metrics.spreading_rotation(c)
    assert np.allclose(rotation.T @ rotation, np.eye(channels))
    assert np.linalg.det(rotation) == pytest.approx(1)
    variances = np.diag(metrics.transformed(c, rotation))
    assert variances == pytest.approx(np.trace(c) / channels)


@pytest.mark.parametrize("channels", [4, 16, 64])
def test_whitening_attains_the_ball_over_the_cube(channels):
    c = covariance(channels)
    white = metrics.transformed(c, metrics.whitening(c))
    assert np.allclose(white, np.eye(channels))
    assert metrics.qsur(white).ln == pytest.approx(metrics.best_by_both(channels).ln)


@pytest.mark.parametrize("channels", [2, 16])
def test_no_random_scaling_is_better_than_the_equalizing_one(channels):
    c = covariance(channels)
    best = metrics.best_by_scaling(c)
    assert metrics.qsur_after(c, metrics.equalizing_scales(c)).ln == pytest.approx(best.ln)
    factors = np.exp(np.random.default_rng(0).normal(0, 1, (50, channels)))
    assert max(metrics.qsur_after(c, f).ln for f in factors) < best.ln
    assert best.ln < metrics.best_by_both(channels).ln


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_the_unit_of_the_data_does_not_matter(factor):
    mean = np.array([0.3, -2.0])
    for function in (metrics.qsur, metrics.published_qsur, metrics.best_by_rotation):
        assert function(factor**2 * TILTED).ln == pytest.approx(function(TILTED).ln)
    scaled = metrics.qsur(factor**2 * TILTED, factor * mean)
    assert scaled.ln == pytest.approx(metrics.qsur(TILTED, mean).ln)


def test_the_level_cancels_without_a_mean_only():
    levels = (0.1, 0.9, 0.999)
    assert np.ptp([metrics.qsur(TILTED, None, level).ln for level in levels]) < 1e-12
    assert np.ptp([metrics.qsur(TILTED, [5.0, 5.0], level).ln for level in levels]) < 1e-12
    assert np.ptp([metrics.qsur(TILTED, [5.0, 0.0], level).ln for level in levels]) > 0.1


def test_volumes_that_underflow_are_read_from_their_logarithm():
    exact = math.pi**32 / math.factorial(32) / 2**64
    assert metrics.best_by_both(64).ratio == pytest.approx(exact, rel=1e-9, abs=0)
    assert metrics.best_by_both(4096).ratio == 0
    huge = metrics.best_by_both(4096)
    # By Stirling, the d-th root tends to sqrt(pi e / 2 d).
    assert huge.per_channel == pytest.approx(math.sqrt(math.pi * math.e / 8192), rel=1e-2)
    assert huge.log2 == pytest.approx(4096 * math.log2(huge.per_channel))


def test_data_agree_with_their_covariance():
    x = np.random.default_rng(3).multivariate_normal([1.0, 0.0], TILTED, 200_000)
    expected = metrics.qsur(TILTED, [1.0, 0.0]).ratio
    assert metrics.qsur_of(x).ratio == pytest.approx(expected, rel=0.02)
    assert metrics.qsur_of(x.astype(np.float32)).ln == pytest.approx(metrics.qsur_of(x).ln, 1e-4)


def test_moments_are_those_of_numpy_however_the_rows_are_cut():
    x = np.random.default_rng(4).standard_normal((3000, 2, 150)).astype(np.float32) + 2
    mean, cov = metrics.moments(x)
    assert mean == pytest.approx(x.reshape(-1, 150).mean(0, dtype=np.float64))
    assert np.allclose(cov, np.cov(x.reshape(-1, 150).astype(np.float64).T), atol=1e-12)


def test_a_mean_is_moved_by_the_transform():
    x = np.random.default_rng(5).multivariate_normal([4.0, 1.0], TILTED, 5000)
    mean, cov = metrics.moments(x)
    for transform in (np.array([[1.0, 0.5], [-0.3, 2.0]]), np.array([0.5, 2.0])):
        moved = x * transform if transform.ndim == 1 else x @ transform
        after = metrics.qsur_after(cov, transform, mean)
        assert after.ln == pytest.approx(metrics.qsur_of(moved).ln)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(0, 10_000))
def test_the_order_of_all_figures(channels, seed):
    c = covariance(channels, seed)
    exact, both = metrics.qsur(c), metrics.best_by_both(channels)
    slack = 1e-9 * channels
    assert exact.ln <= metrics.published_qsur(c).ln + slack
    for limit in (metrics.best_by_scaling(c), metrics.best_by_rotation(c)):
        assert exact.ln <= limit.ln + slack
        assert limit.ln <= both.ln + slack
    mean = np.random.default_rng(seed).standard_normal(channels)
    assert metrics.qsur(c, mean).ln <= exact.ln + slack
    assert exact.bits_under(both) >= -slack


@pytest.mark.parametrize("channels", [2, 3, 8, 12])
def test_powers_lead_from_nothing_to_the_whole_transform(channels):
    c = covariance(channels)
    for whole in (
        metrics.whitening(c),
        metrics.spreading_rotation(c),
        metrics.equalizing_scales(c),
    ):
        none, half, end = metrics.powers(whole, [0.0, 0.5, 1.0])
        assert np.allclose(none, np.ones(channels) if none.ndim == 1 else np.eye(channels))
        assert np.allclose(end, whole)
        assert np.allclose(half * half if half.ndim == 1 else half @ half, whole)


def test_a_turn_by_half_a_circle_has_a_half():
    whole = np.diag([-1.0, 1.0, -1.0])
    (half,) = metrics.powers(whole, [0.5])
    assert np.allclose(half @ half, whole)
    assert np.allclose(half.T @ half, np.eye(3))


SINGULAR = np.ones((2, 2))
REFUSED = {
    "not square": (lambda: metrics.qsur(np.ones((2, 3))), "a row and a column"),
    "empty": (lambda: metrics.qsur(np.zeros((0, 0))), "a row and a column"),
    "a number": (lambda: metrics.qsur(3.0), "a row and a column"),
    "NaN": (lambda: metrics.qsur([[np.nan, 0.0], [0.0, 1.0]]), "NaN or infinite"),
    "not symmetric": (lambda: metrics.qsur([[1.0, 0.5], [0.0, 1.0]]), "not symmetric"),
    "singular": (lambda: metrics.qsur(SINGULAR), "add a ridge"),
    "a constant channel": (lambda: metrics.published_qsur(np.diag([1.0, 0.0])), "no volume"),
    "indefinite": (lambda: metrics.best_by_rotation([[1.0, 2.0], [2.0, 1.0]]), "not positive"),
    "fewer rows than channels": (lambda: metrics.qsur_of(np.eye(3)[:2]), "more rows"),
    "one row": (lambda: metrics.qsur_of(np.ones((1, 3))), "two rows"),
    "one axis": (lambda: metrics.moments(np.ones(3)), "two rows"),
    "data with NaN": (lambda: metrics.moments([[np.nan], [1.0]]), "1 values that are NaN"),
    "a level": (lambda: metrics.qsur(LONG, None, 1.0), "between 0 and 1"),
    "a mean": (lambda: metrics.qsur(LONG, [1.0]), "has 2 channels"),
    "no channels": (lambda: metrics.best_by_both(0), "one at least"),
    "a transform's size": (lambda: metrics.transformed(LONG, [1.0, 2.0, 3.0]), "acts on 2"),
    "a singular transform": (lambda: metrics.transformed(LONG, SINGULAR), "cannot be undone"),
    "a zero factor": (lambda: metrics.qsur_after(LONG, [1.0, 0.0]), "cannot be undone"),
    "a reflection": (lambda: metrics.powers(np.diag([1.0, -1.0]), [0.5]), "reflection"),
    "a shear": (lambda: metrics.powers([[1.0, 1.0], [0.0, 1.0]], [0.5]), "orthogonal"),
    "a negative factor": (lambda: metrics.powers([1.0, -1.0], [0.5]), "above 0"),
    "a transform without size": (lambda: metrics.powers(2.0, [0.5]), "acts on 0"),
    "no power of two": (lambda: metrics.spreading.hadamard(12), "power of two"),
    "other dimensions": (lambda: Qsur(0.0, 2).bits_under(Qsur(0.0, 3)), "different dimensions"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(case):
    call, why = REFUSED[case]
    with pytest.raises(WorkbenchError, match=why):
        call()
