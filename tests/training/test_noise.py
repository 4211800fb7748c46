"""Rounded normal noise: its distribution, and how many weights it leaves as they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.training import rounded_normal, with_noise

N = 2_000_000


def test_the_noise_has_its_known_distribution():
    r = rounded_normal((N,))
    chances = {
        0: 2 * stats.norm.cdf(1) - 1,
        1: stats.norm.cdf(3) - stats.norm.cdf(1),
        2: stats.norm.cdf(5) - stats.norm.cdf(3),
    }
    apart = sum(abs(np.mean(np.abs(r) == k) - (p if k == 0 else 2 * p)) for k, p in chances.items())
    assert apart / 2 < 1e-3
    assert chances[0] == pytest.approx(0.68269, abs=1e-5)
    assert r.var() == pytest.approx(0.32541, abs=2e-3)
    assert abs(r.mean()) < 4 * np.sqrt(0.32541 / N)
    assert np.mean(r > 0) == pytest.approx(np.mean(r < 0), abs=2e-3)


def test_a_seed_is_a_sequence():
    assert np.array_equal(rounded_normal((7, 9), 3), rounded_normal((7, 9), 3))
    assert not np.array_equal(rounded_normal((7, 9), 3), rounded_normal((7, 9), 4))


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_a_cast_leaves_most_weights_exact_unlike_uniform_noise(bits):
    bf16 = wb.format("bf16")
    w = bf16.round(np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32))
    noisy = bf16.round(with_noise(w, float(bits)))
    assert np.mean(noisy == w) == pytest.approx(0.683, abs=0.02)
    step = np.abs(w).max() * 2.0 ** (1 - bits)
    uniform = np.random.default_rng(1).uniform(-0.5, 0.5, w.shape).astype(np.float32)
    assert np.mean(bf16.round(w + uniform * step) == w) < 0.4


def test_noise_scales_with_each_block_and_its_bits():
    w = np.random.default_rng(2).standard_normal((64, 80)).astype(np.float32)
    bits = np.array([[4.0, 5.0, 6.0], [6.5, 3.0, 8.0]])
    noise = with_noise(w, bits) - w
    r = rounded_normal(w.shape)
    for i in range(2):
        for j in range(3):
            part = np.s_[32 * i : 32 * i + 32, 32 * j : min(32 * j + 32, 80)]
            step = np.abs(w[part]).max() * 2.0 ** (1 - bits[i, j])
            assert noise[part] == pytest.approx(r[part] * step, abs=1e-5)


def test_the_slope_in_the_bits_is_that_of_the_formula():
    w = np.random.default_rng(3).standard_normal((32, 32))
    slope = (with_noise(w, 4 + 1e-6) - with_noise(w, 4 - 1e-6)) / 2e-6
    want = -np.log(2) * rounded_normal(w.shape) * np.abs(w).max() * 2.0 ** (1 - 4)
    assert slope == pytest.approx(want, abs=1e-6)


def test_blocks_need_a_matrix():
    with pytest.raises(WorkbenchError, match="squares of a matrix"):
        with_noise(np.zeros(4), 4)
