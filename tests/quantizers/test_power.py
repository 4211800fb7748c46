"""The data-free power search: known optima, one minimum, and never worse than integers."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.quantizers import best_power

SHAPE = (64, 1024)


def _sample(kind: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    draw = {"gaussian": rng.standard_normal, "laplace": rng.laplace, "uniform": rng.uniform}[kind]
    x = draw(-1, 1, SHAPE) if kind == "uniform" else draw(size=SHAPE)
    return x.astype(np.float32)


@pytest.mark.parametrize("kind", ["gaussian", "laplace", "uniform"])
@pytest.mark.parametrize("width", [4, 8])
def test_the_error_has_a_single_minimum(kind, width):
    assert best_power(_sample(kind), width).turns <= 1


def test_heavier_tails_ask_for_smaller_powers():
    found = {kind: best_power(_sample(kind)).power for kind in ("laplace", "gaussian", "uniform")}
    assert found["gaussian"] == pytest.approx(0.72, abs=0.05)
    assert found["uniform"] == pytest.approx(1.0, abs=0.04)
    assert found["laplace"] < found["gaussian"] - 0.05


def test_the_search_beats_integers_and_the_usual_half():
    x = _sample("laplace")
    found = best_power(x)
    y = found.scheme.round(x)
    assert ((y - x) ** 2).mean() / (x**2).mean() == pytest.approx(found.error, rel=1e-4)
    assert found.error < 0.75 * found.uniform
    assert found.error <= min(found.errors)
    assert wb.scheme(str(found.scheme)) == found.scheme


@pytest.mark.parametrize("x", [np.zeros((4, 4)), np.zeros((0, 4)), np.array([[np.nan, 1.0]])])
def test_there_must_be_something_to_compare(x):
    with pytest.raises(WorkbenchError, match="no error to compare"):
        best_power(x)
