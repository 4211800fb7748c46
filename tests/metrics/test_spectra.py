"""Matrix nuclear norm, exact nuclear norm and entropy of representations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import metrics
from workbench.errors import WorkbenchError
from workbench.metrics.spectra import column_norms, unit_rows

TOKENS, CHANNELS = 512, 64


def rank_four(axes: np.ndarray) -> np.ndarray:
    """Tokens along four directions, one each and both ways alike."""
    rng = np.random.default_rng(0)
    size = np.abs(rng.standard_normal(TOKENS // 2)) + 0.1
    which = np.repeat(np.arange(4), TOKENS // 8)
    half = size[:, None] * axes[which]
    return np.concatenate([half, -half])


def turned(x: np.ndarray) -> np.ndarray:
    axes = np.linalg.qr(np.random.default_rng(1).standard_normal((CHANNELS, CHANNELS)))[0]
    return x @ axes


def test_a_small_matrix_by_hand():
    x = np.array([[3.0, 0.0, 1.0], [-1.0, 0.0, 1.0], [1.0, 3.0, 1.0], [1.0, -3.0, 1.0]])
    # Less the mean (1, 0, 1), the rows are (2, 0, 0), (-2, 0, 0), (0, 3, 0), (0, -3, 0).
    assert unit_rows(x).tolist() == [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]
    assert metrics.matrix_nuclear_norm(x) == pytest.approx((math.sqrt(2) + math.sqrt(2) + 0) / 4)


def test_a_small_matrix_whose_columns_are_not_orthogonal():
    x = np.array([[1.0, 1.0, 0.0], [-1.0, -1.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.0, -2.0]])
    # Unit rows ±(1, 1, 0)/√2 and ±(0, 0, 1): column norms 1, 1, √2; singular values √2, √2, 0.
    found = metrics.spectrum(x)
    assert found.matrix_nuclear_norm == pytest.approx((1 + 1 + math.sqrt(2)) / 4)
    assert found.nuclear_norm == pytest.approx(2 * math.sqrt(2) / 4)
    assert found.entropy == pytest.approx(1)
    assert found.effective_rank == pytest.approx(2)


def test_orthogonal_columns_make_it_exact():
    found = metrics.spectrum(rank_four(np.eye(CHANNELS)))
    assert found.matrix_nuclear_norm == pytest.approx(found.nuclear_norm, rel=1e-12)
    assert found.nuclear_norm == pytest.approx(2 / math.sqrt(TOKENS))
    assert found.ratio == pytest.approx(1)


def test_it_is_not_invariant_to_a_rotation_of_the_channels():
    """The negative result: four directions look like nearly all of them in another basis."""
    x = rank_four(np.eye(CHANNELS))
    straight, tilted = metrics.spectrum(x), metrics.spectrum(turned(x))
    isotropic = metrics.spectrum(np.random.default_rng(2).standard_normal((TOKENS, CHANNELS)))
    assert tilted.nuclear_norm == pytest.approx(straight.nuclear_norm)
    assert tilted.effective_rank == pytest.approx(straight.effective_rank) == pytest.approx(4)
    assert tilted.matrix_nuclear_norm > 3.5 * straight.matrix_nuclear_norm
    assert tilted.matrix_nuclear_norm > 0.9 * isotropic.matrix_nuclear_norm
    assert isotropic.matrix_nuclear_norm == pytest.approx(math.sqrt(CHANNELS / TOKENS), rel=1e-3)
    assert isotropic.effective_rank > 50


def test_a_square_gaussian_lies_under_its_column_norms():
    x = np.random.default_rng(0).standard_normal((1024, 1024)) / 32
    total = column_norms(x).sum()
    assert total == pytest.approx(1023.7, abs=1)
    assert metrics.nuclear_norm(x) == pytest.approx(869.2, abs=3)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 30), st.integers(1, 12), st.integers(0, 10_000))
def test_bounds_and_entropy_hold_for_any_size(tokens, channels, seed):
    x = np.random.default_rng(seed).standard_normal((tokens, channels)) ** 3
    found = metrics.spectrum(x)
    slack = 1 + 1e-9
    assert found.least <= found.nuclear_norm * slack
    assert found.nuclear_norm <= found.most * slack
    if tokens >= channels:
        assert found.nuclear_norm <= found.matrix_nuclear_norm * slack
    assert 1 <= found.effective_rank * slack <= min(tokens, channels) * slack**2
    assert found.matrix_nuclear_norm == pytest.approx(metrics.matrix_nuclear_norm(x))
    assert found.entropy == pytest.approx(metrics.matrix_entropy(x), abs=1e-9)


def test_only_the_largest_columns_count_where_tokens_are_few():
    x = np.random.default_rng(3).standard_normal((3, 8))
    norms = np.sort(column_norms(unit_rows(x)))
    assert metrics.matrix_nuclear_norm(x) == pytest.approx(norms[-3:].sum() / 3)


def test_the_entropy_is_that_of_the_gram_matrix():
    x = np.random.default_rng(4).standard_normal((40, 6)).astype(np.float32)
    rows = unit_rows(x)
    shares = np.linalg.eigvalsh(rows.T @ rows) / 40
    assert metrics.matrix_entropy(x) == pytest.approx(-(shares * np.log2(shares)).sum())


def test_a_token_at_the_mean_has_no_direction():
    rows = unit_rows([[1.0, 1.0], [3.0, 1.0], [-1.0, 1.0]])
    assert rows.tolist() == [[0, 0], [1, 0], [-1, 0]]


@pytest.mark.parametrize(
    ("x", "why"),
    [
        (np.ones((5, 3)), "all the same"),
        (np.ones((1, 3)), "two rows"),
        (np.ones((0, 3)), "two rows"),
        (np.ones((4, 0)), "two rows"),
        ([[np.inf, 1.0], [0.0, 1.0]], "NaN or infinite"),
    ],
)
def test_what_has_no_spectrum_is_refused(x, why):
    for function in (metrics.spectrum, metrics.matrix_nuclear_norm, metrics.matrix_entropy):
        with pytest.raises(WorkbenchError, match=why):
            function(x)
