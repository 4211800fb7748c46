"""`workbench doctor`: each missing thing comes with what to do about it."""

from __future__ import annotations

import pytest

from workbench.apps import doctor


def test_a_named_browser_that_is_not_there_is_missing(monkeypatch):
    monkeypatch.setenv("WORKBENCH_CHROMIUM", "/nowhere/chromium")
    assert doctor.browser().missing
    assert "chromium" in doctor.browser().advice


def test_the_first_browser_on_the_path_is_taken(monkeypatch, tmp_path):
    program = tmp_path / "chromium-browser"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.delenv("WORKBENCH_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.browser().found == str(program)


def test_the_extras_are_those_of_the_package():
    assert set(doctor.extras()) == {"notebook", "apps", "models", "cluster", "peers", "dev"}


def test_a_missing_extra_says_how_to_install_it():
    finding = doctor._extra("peers", ["a_library_nobody_has"])
    assert "a_library_nobody_has missing" in finding.found
    assert "[peers]" in finding.advice


@pytest.mark.parametrize("finding", doctor.examine(), ids=lambda finding: finding.topic)
def test_every_finding_fits_one_line(finding):
    assert finding.found
    assert "\n" not in finding.found + finding.advice
