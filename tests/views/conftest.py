"""Summaries that the view tests draw: made from real sketches of small tensors."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.explorers import sources
from workbench.explorers.format_explorer import FormatExplorer


@pytest.fixture(scope="session")
def tensor() -> np.ndarray:
    """Gaussian 64 x 256, with one channel 20 times as large."""
    x = np.random.default_rng(7).standard_normal((64, 256), np.float32) * 0.05
    x[11] *= 20
    return x


@pytest.fixture
def explorer(tensor) -> FormatExplorer:
    schemes = ["e4m3fn", "int8/tensor", "mxfp4", "int4/g32"]
    return FormatExplorer(source=sources.keep(tensor), schemes=schemes)
