"""Runs on STREAM64 that several tests read: each set of quantizers is trained once."""

from __future__ import annotations

from functools import cache

import pytest

from workbench.training import stream
from workbench.training.linear import PLAIN, Quantizers
from workbench.training.loop import Score


@cache
def _trained(quantizers: Quantizers) -> tuple[stream.Network, list[Score]]:
    return stream.run(quantizers)


@pytest.fixture(scope="session")
def trained():
    """The networks of three seeds after 800 steps under some quantizers, and their scores."""
    return _trained


@pytest.fixture(scope="session")
def loss():
    """The mean held-out loss of three seeds after 800 steps under some quantizers."""
    return lambda quantizers=PLAIN: stream.mean_loss(_trained(quantizers)[1])
