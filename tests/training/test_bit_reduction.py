"""Masked mantissas, clipped exponents, and the sharpness of logits against a search."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from workbench.errors import WorkbenchError
from workbench.training import logit_sharpness, papers

MEASURED = {7: -2.81e-3, 5: -1.12e-2, 3: -4.37e-2, 2: -8.46e-2}


@pytest.mark.parametrize("mantissa", range(8))
def test_masking_is_masking_of_bits(mantissa):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, 200_000, dtype=np.uint32)
    x = bits.view(np.float32)
    x = x[np.isfinite(x)]
    mask = np.uint32(0xFFFFFFFF << (23 - mantissa) & 0xFFFFFFFF)
    want = (x.view(np.uint32) & mask).view(np.float32)
    found = papers.bit_reduction(8, mantissa).weight(torch.from_numpy(x)).numpy()
    assert np.array_equal(found, want)


@pytest.mark.parametrize("mantissa", MEASURED)
def test_masking_is_biased_towards_zero_by_its_first_order(mantissa):
    x = np.random.default_rng(0).standard_normal(1 << 20)
    y = papers.bit_reduction(8, mantissa).weight(torch.from_numpy(x)).numpy()
    relative = (y - x) / x
    assert relative.mean() == pytest.approx(MEASURED[mantissa], rel=0.01)
    first_order = -(2.0**-mantissa) / (4 * math.log(2))
    assert relative.mean() == pytest.approx(first_order, rel=0.08)
    assert np.abs(relative).max() < 2.0**-mantissa


def test_the_largest_value_of_the_narrower_exponent_is_where_values_are_clipped():
    quantizer = papers.bit_reduction(4, 7).weight
    x = torch.tensor([1e30, -300.0, 0.3, 1e-30])
    assert quantizer(x).tolist() == [255.0, -255.0, 0.298828125, 0.0]


class TestSharpness:
    """The largest loss in a box around the logits, in closed form and by L-BFGS-B."""

    def _searched(self, z: np.ndarray, y: int, epsilon: float) -> float:
        reach = epsilon * (np.abs(z) + 1)
        found = minimize(
            lambda d: (log_softmax(z + d)[y], np.eye(z.size)[y] - softmax(z + d)),
            np.zeros_like(z), jac=True, method="L-BFGS-B",
            bounds=list(zip(-reach, reach, strict=True)), options={"ftol": 1e-16, "gtol": 1e-16},
        )  # fmt: skip
        plain = -log_softmax(z)[y]
        return 100 * (-found.fun - plain) / (1 + plain)

    @pytest.mark.parametrize(("epsilon", "apart"), [(5e-4, 1e-9), (0.1, 1e-6)])
    def test_the_closed_form_is_what_a_search_finds(self, epsilon, apart):
        rng = np.random.default_rng(0)
        for _ in range(50):
            z, y = 3 * rng.standard_normal(20), int(rng.integers(20))
            found = logit_sharpness(z, y, epsilon)
            assert found == pytest.approx(self._searched(z, y, epsilon), rel=apart)

    def test_it_is_not_negative_and_does_not_depend_on_the_order(self):
        rng = np.random.default_rng(1)
        z, y = 5 * rng.standard_normal((64, 10)), rng.integers(0, 10, 64)
        order = rng.permutation(10)
        found = logit_sharpness(z, y)
        assert found >= 0
        rows = rng.permutation(64)
        moved = logit_sharpness(z[rows][:, order], np.argsort(order)[y[rows]])
        assert moved == pytest.approx(found, rel=1e-12)

    def test_tensors_and_large_logits_are_taken(self):
        z = torch.tensor([[1e4, 0.0], [0.0, 1e4]])
        assert math.isfinite(logit_sharpness(z, torch.tensor([0, 0])))

    @pytest.mark.parametrize("targets", [[0], [0, 3], [0.0, 1.0], [0, -1]])
    def test_targets_must_be_classes(self, targets):
        with pytest.raises(WorkbenchError, match="a class from 0 to 2"):
            logit_sharpness(np.zeros((2, 3)), targets)
