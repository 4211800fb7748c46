"""Layers with inputs that have structure: correlated channels, and a few that are large."""

import numpy as np
import pytest

from workbench.quantizers import Calibration, Layer


def correlated(rows: int, features: int, seed: int) -> np.ndarray:
    """Rows whose channels depend on each other, float32."""
    mixing = np.random.default_rng(7).standard_normal((features, features))
    mixing *= np.exp(-np.arange(features) / (features / 6))[:, None]
    draws = np.random.default_rng(seed).standard_normal((rows, features))
    return (draws @ mixing).astype(np.float32)


@pytest.fixture(scope="session")
def weight():
    return (np.random.default_rng(3).standard_normal((48, 64)) * 0.05).astype(np.float32)


@pytest.fixture(scope="session")
def layer(weight):
    bias = np.random.default_rng(4).standard_normal(48).astype(np.float32)
    return Layer(weight, bias, "layer")


@pytest.fixture(scope="session")
def calibration():
    return Calibration.of(correlated(2048, 64, 0))


@pytest.fixture(scope="session")
def held_out():
    return correlated(512, 64, 1)
