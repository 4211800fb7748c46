"""Partial moments of the densities, against numerical integration, mpmath and samples."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad

from workbench.errors import WorkbenchError
from workbench.metrics.densities import Gaussian, Laplace, Mixture, StudentT, Uniform

DENSITIES = (
    Uniform(), Uniform(2.5), Gaussian(), Gaussian(0.3), Laplace(0.7), StudentT(3.0), StudentT(8.5),
    StudentT(5.0, limit=4.0), Mixture((0.99, 0.01), (Gaussian(), Gaussian(10.0))),
    Mixture((1, 3), (Laplace(), StudentT(4.0, limit=6.0))),
)  # fmt: skip
CELLS = [(-1.5, -0.2), (-0.3, 0.4), (0.0, 0.01), (0.8, 2.2), (1.0, 1.0), (-3.0, 0.0)]


@pytest.mark.parametrize("density", DENSITIES, ids=str)
def test_partial_moments_are_the_integrals(density):
    low, high = np.array(CELLS).T
    moments = density.partial_moments(low, high)
    for k, moment in enumerate(moments):
        for i, (a, b) in enumerate(CELLS):
            expected, _ = quad(
                lambda t, k=k: t**k * float(density.pdf(t)), a, b, points=[-1, 0, 1], epsabs=1e-13
            )
            assert moment[i] == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("density", DENSITIES, ids=str)
def test_cells_add_up_to_the_whole(density):
    edges = np.array([-np.inf, -7.0, -1.0, -1e-3, 0.0, 0.2, 3.0, 50.0, np.inf])
    m0, m1, m2 = density.partial_moments(edges[:-1], edges[1:])
    assert m0.sum() == pytest.approx(1, rel=1e-14)
    assert m1.sum() == pytest.approx(0, abs=1e-15)
    assert m2.sum() == pytest.approx(density.variance, rel=1e-14)
    assert (m0 >= 0).all()
    assert (m2 >= 0).all()


@pytest.mark.parametrize("density", DENSITIES, ids=str)
def test_mirrored_cells_have_mirrored_moments(density):
    low, high = np.array(CELLS).T
    here, there = density.partial_moments(low, high), density.partial_moments(-high, -low)
    for sign, a, b in zip((1, -1, 1), here, there, strict=True):
        assert a == pytest.approx(sign * b, rel=1e-13, abs=1e-15)


def test_far_tails_keep_their_digits():
    with mpmath.workdps(60):
        a, b = mpmath.mpf(20), mpmath.mpf(21)
        gauss = [mpmath.quad(lambda t, k=k: t**k * mpmath.npdf(t), [a, b]) for k in range(3)]
        heavy = [mpmath.quad(lambda t, k=k: t**k * _student(t, 8), [100, 120]) for k in range(3)]
    found = Gaussian().partial_moments(20.0, 21.0)
    assert [float(m) for m in found] == pytest.approx([float(m) for m in gauss], rel=1e-12)
    found = StudentT(8.0).partial_moments([100.0, -120.0], [120.0, -100.0])
    for k, (moment, exact) in enumerate(zip(found, heavy, strict=True)):
        assert moment == pytest.approx(float(exact) * np.array([1, (-1) ** k]), rel=1e-12)


def _student(t, nu):
    root = mpmath.gamma((nu + 1) / mpmath.mpf(2)) / mpmath.gamma(nu / mpmath.mpf(2))
    return root / mpmath.sqrt(nu * mpmath.pi) * (1 + t * t / nu) ** (-(nu + 1) / mpmath.mpf(2))


def test_variances():
    assert Uniform(3.0).variance == pytest.approx(3)
    assert Gaussian(2.0).variance == pytest.approx(4)
    assert Laplace(0.5).variance == pytest.approx(0.5)
    assert StudentT(5.0).variance == pytest.approx(5 / 3)
    assert Mixture((3, 1), (Gaussian(1), Gaussian(3))).variance == pytest.approx(3)


def test_what_lies_beyond_a_limit_is_moved_onto_it():
    free, limited = StudentT(4.0), StudentT(4.0, limit=5.0)
    beyond = free.partial_moments(5.0, np.inf)[0]
    for moment, power in zip(limited.partial_moments(5.0, np.inf), (1, 5, 25), strict=True):
        assert moment == pytest.approx(power * beyond, rel=1e-13)
    inside = limited.partial_moments(-5.0, 5.0)[0]
    assert inside == pytest.approx(1 - 2 * beyond)  # a cell that ends at a point mass is without it
    assert [float(m) for m in limited.partial_moments(5.1, np.inf)] == [0, 0, 0]


@pytest.mark.parametrize("density", DENSITIES, ids=str)
def test_samples_follow_the_density(density):
    x = density.sample(200_000, seed=3)
    assert x.shape == (200_000,)
    assert np.array_equal(x, density.sample(200_000, seed=3))
    assert np.abs(x).max() <= density.support
    edges = np.array([-np.inf, -2.0, -0.5, 0.0, 0.3, 1.0, 3.0, np.inf])
    share = np.histogram(x, edges)[0] / x.size
    assert share == pytest.approx(density.partial_moments(edges[:-1], edges[1:])[0], abs=0.004)


def test_names():
    names = [density.name for density in (DENSITIES[0], DENSITIES[6], DENSITIES[8])]
    assert names == ["uniform", "t(8.5)", "0.99 gaussian + 0.01 gaussian"]


@pytest.mark.parametrize(
    ("make", "instead"),
    [
        (lambda: Uniform(0.0), "half_width=1.0"),
        (lambda: Gaussian(-1.0), "sigma=1.0"),
        (lambda: Laplace(math.inf), "scale=1.0"),
        (lambda: Gaussian(math.nan), "sigma=1.0"),
        (lambda: StudentT(2.0), "Gaussian()"),
        (lambda: StudentT(4.0, limit=0.0), "limit=1.0"),
        (lambda: Mixture((1.0,), ()), "Mixture"),
        (lambda: Mixture((1.0, -1.0), (Gaussian(), Uniform())), "Mixture"),
    ],
)
def test_impossible_parameters_are_refused(make, instead):
    with pytest.raises(WorkbenchError) as refusal:
        make()
    assert instead in refusal.value.instead
