"""One thread a test: windows of the small model are too small to share between threads."""

from __future__ import annotations

import pytest
import torch

from workbench.errors import WorkbenchError
from workbench.models import optional


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def fetched():
    """`fetched(name)` gives the name of a real model that is here by then, or skips the test."""

    def have(name: str) -> str:
        try:
            optional.fetch(name, lambda line: None)
        except WorkbenchError as error:
            if "could not download" not in str(error):
                raise
            pytest.skip(f"{name} cannot be had here: {error.why}")
        return name

    return have
