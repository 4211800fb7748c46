"""Codebooks made for a tensor: the optimum is one, and the alternation comes close to it."""

from __future__ import annotations

from itertools import combinations
from statistics import NormalDist

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.quantizers.codebooks import best_codebook, lloyd_max
from workbench.quantizers.points import MOST_POINTS, Points

ENDS = [(None, None), (-1.0, None), (None, 1.0), (-1.0, 1.0)]


def _gaussian(count: int = 8192) -> np.ndarray:
    """Midpoints of equal shares of the normal distribution."""
    return np.array([NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)])


def _drawn(kind: str, size: int = 1 << 15) -> np.ndarray:
    rng = np.random.default_rng(3)
    return {"gaussian": rng.standard_normal, "laplace": rng.laplace}[kind](size=size)


def _brute_force(at: np.ndarray, weight: np.ndarray, count: int, ends) -> float:
    """The least error over all ways to cut the points into `count` runs."""
    low, high = ends
    least = np.inf
    for cuts in combinations(range(1, at.size), count - 1):
        total = 0.0
        for cell, part in enumerate(np.split(np.arange(at.size), cuts)):
            mean = np.average(at[part], weights=weight[part])
            held = low if cell == 0 else high if cell == count - 1 else None
            total += (weight[part] * (at[part] - (mean if held is None else held)) ** 2).sum()
        least = min(least, total)
    return least


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_codebook_is_that_of_brute_force(seed, bits, ends):
    rng = np.random.default_rng(seed)
    at, weight = np.sort(rng.uniform(-1, 1, 11)), rng.uniform(0.1, 3, 11)
    at[[0, -1]] = -1, 1
    found = best_codebook(at, bits, weight, ends).table
    error = Points(at, weight).error(found)
    assert error == pytest.approx(_brute_force(at, weight, 1 << bits, ends), rel=1e-4)
    assert ends[0] in (None, found[0])
    assert ends[1] in (None, found[-1])


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
def test_alternation_comes_close_to_the_optimum_and_never_under_it(kind, bits, ends):
    x = _drawn(kind)
    points = Points.of(x / np.abs(x).max())
    best = points.error(best_codebook(points, bits, ends=ends).table)
    alternated = points.error(lloyd_max(points, bits, ends=ends).table)
    assert best * (1 - 1e-5) <= alternated <= 1.05 * best


@pytest.mark.parametrize("make", [lloyd_max, best_codebook])
def test_gaussian_codebooks_are_those_of_max(make):
    assert make(_gaussian(), 1).table == pytest.approx((-0.79788, 0.79788), rel=0.01)
    table = (-1.51042, -0.45278, 0.45278, 1.51042)
    assert make(_gaussian(), 2).table == pytest.approx(table, rel=0.01)


@pytest.mark.parametrize("bits", [1, 2, 4, 6])
def test_the_name_reads_back_as_the_same_format(bits):
    found = lloyd_max(_drawn("laplace"), bits, normalise=True)
    assert wb.format(found.name) == found
    assert max(map(abs, found.table)) == 1
    assert tuple(np.float32(found.table).tolist()) == found.table
    assert str(wb.scheme(f"{found.name}/g32")) == f"{found.name}/g32"


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
def test_a_codebook_of_its_own_beats_nf4_in_every_block(kind):
    x = _drawn(kind).reshape(-1, 64).astype(np.float32)
    units = x / np.abs(x).max(1, keepdims=True)
    weight = np.repeat(np.abs(x).max(1) ** 2, 64)
    found = best_codebook(units, 4, weight, ends=(-1.0, 1.0))
    ours, usual = (wb.metrics.error(x, f"{f}/g64").sqnr for f in (found, "nf4"))
    assert ours > usual


def test_a_sketch_serves_as_the_values_do():
    x = _drawn("gaussian").astype(np.float32)
    of_sketch, of_values = best_codebook(wb.sketch(x), 3), best_codebook(x, 3)
    points = Points.of(x)
    assert points.error(of_sketch.table) == pytest.approx(points.error(of_values.table), rel=1e-3)


def test_weights_count_as_repetitions():
    x, times = np.array([0.0, 0.25, 1.0, 2.0, 2.5]), np.array([3, 1, 2, 5, 1])
    assert best_codebook(x, 1, times) == best_codebook(np.repeat(x, times), 1)


def test_many_values_are_merged_and_keep_weight_and_mean():
    x = _drawn("laplace", 1 << 17)
    points = Points.of(x)
    assert points.at.size <= MOST_POINTS
    assert points.weight.sum() == x.size
    assert np.average(points.at, weights=points.weight) == pytest.approx(x.mean())
    assert (np.diff(points.at) > 0).all()


def test_far_from_zero_nothing_cancels():
    x = _drawn("gaussian", 4096)
    near, far = best_codebook(x, 2).table, best_codebook(x + 1000, 2).table
    assert np.array(far) - 1000 == pytest.approx(np.array(near), abs=0.01)


@pytest.mark.parametrize("make", [lloyd_max, best_codebook])
@pytest.mark.parametrize(
    ("x", "bits", "more", "word"),
    [
        ([np.nan, np.inf], 1, {}, "none of them is finite"),
        ([], 1, {}, "none of them is finite"),
        ([1.0, 2.0], 0, {}, "1 to 6 bits"),
        ([1.0, 2.0], 7, {}, "1 to 6 bits"),
        ([1.0, 2.0], 2.5, {}, "1 to 6 bits"),
        ([1.0, 2.0, 2.0], 2, {}, "2 distinct values for 4 codes"),
        ([1.0, 1.0 + 1e-12], 1, {}, "2 codes"),
        ([1.0, 2.0], 1, {"weights": [1.0]}, "each value has one weight"),
        ([1.0, 2.0], 1, {"weights": [1.0, -1.0]}, "not negative"),
        ([1.0, 2.0], 1, {"weights": [0.0, 0.0]}, "none of them is finite"),
        ([1.0, 2.0], 1, {"ends": (1.0, -1.0)}, "the first is the smaller"),
    ],
)
def test_what_has_no_codebook_is_refused(make, x, bits, more, word):
    with pytest.raises(WorkbenchError, match=word) as refusal:
        make(np.array(x, np.float64), bits, **more)
    assert str(refusal.value).count("→") == 2
