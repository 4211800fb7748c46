"""Products of channels are those of float64, for narrow layers and for wide ones alike."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.kernels.threads import set_threads
from workbench.quantizers import Calibration


@pytest.mark.parametrize("features", [1, 3, 384, 2047, 2048, 3001])
def test_products_are_those_of_float64(features):
    rows = np.random.default_rng(features).standard_normal((1500, features), np.float32)
    found = Calibration.of(rows).second
    exact = rows.T.astype(np.float64) @ rows
    assert np.abs(found - exact).max() <= 1e-10
    assert np.array_equal(found, found.T)


@pytest.mark.parametrize("features", [384, 2500])
def test_products_are_the_same_on_any_number_of_threads(features):
    rows = np.random.default_rng(1).standard_normal((1100, features), np.float32)
    each = []
    try:
        for count in (1, 2):
            set_threads(count)
            each.append(Calibration.of(rows).second)
    finally:
        set_threads(None)
    assert np.array_equal(*each)
