"""How many threads kernels use, and what is said where that cannot be read."""

import pytest

from workbench.errors import WorkbenchError
from workbench.kernels.threads import thread_count


def test_the_environment_says_how_many(monkeypatch):
    monkeypatch.setenv("WORKBENCH_THREADS", "3")
    assert thread_count() == 3


@pytest.mark.parametrize("text", ["abc", "0", "-1", "1.5"])
def test_a_malformed_count_is_refused(monkeypatch, text):
    monkeypatch.setenv("WORKBENCH_THREADS", text)
    with pytest.raises(
        WorkbenchError, match=r"WORKBENCH_THREADS=.*whole number.*WORKBENCH_THREADS=2"
    ):
        thread_count()
