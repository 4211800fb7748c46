"""What every test shares: quiet threads, hypothesis without deadlines, and an honest last line.

A test that could not run for want of a browser or of an optional model is counted, and the last
line of the run says so. With WORKBENCH_REQUIRE_BROWSER=1 a missing browser fails the run instead.
"""

from __future__ import annotations

import os
from collections import Counter

import hypothesis
import pytest

from workbench.apps.doctor import browser_path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
hypothesis.settings.register_profile("workbench", deadline=None, derandomize=True)
hypothesis.settings.load_profile("workbench")

NO_BROWSER = (
    "no Chromium found: install the package chromium, or set WORKBENCH_CHROMIUM to its path"
)
WHAT = {"browser": "browser tests", "real": "tests of optional real models"}
_skipped: Counter[str] = Counter()
_reasons: dict[str, str] = {}


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("WORKBENCH_REQUIRE_BROWSER") == "1" and browser_path() is None:
        raise pytest.UsageError(f"WORKBENCH_REQUIRE_BROWSER=1, but {NO_BROWSER}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if browser_path() is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=NO_BROWSER))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        for marker in WHAT:
            if marker in report.keywords:
                _skipped[marker] += 1
                where = report.longrepr
                _reasons[marker] = where[2] if isinstance(where, tuple) else str(where)


def pytest_unconfigure() -> None:
    for marker in sorted(_skipped, reverse=True):
        reason = _reasons[marker].removeprefix("Skipped: ")
        print(f"Not run: {_skipped[marker]} {WHAT[marker]} ({reason})")
