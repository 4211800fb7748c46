"""The launcher: ports, addresses, and the variables of a server process."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from workbench.apps import launch
from workbench.errors import WorkbenchError


@pytest.fixture
def busy_port():
    with socket.socket() as listener:
        listener.bind((launch.HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_refused_with_one_that_is_free(busy_port):
    with pytest.raises(WorkbenchError, match="another program listens") as refusal:
        launch.free_port(busy_port)
    other = int(refusal.value.instead.rpartition("=")[2])
    assert other != busy_port
    assert launch.free_port(other) == other


def test_a_busy_port_is_found_before_any_server_starts(busy_port, monkeypatch):
    monkeypatch.setattr(launch, "_run", lambda *_: pytest.fail("a server was started"))
    with pytest.raises(WorkbenchError, match=str(busy_port)):
        launch.serve(busy_port)


def test_a_home_that_cannot_be_written_gets_folders_that_can(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in launch.HOME_FOLDERS:
        monkeypatch.delenv(name, raising=False)
    chosen = launch.environment()
    for name in launch.HOME_FOLDERS:
        assert not Path(chosen[name]).is_relative_to(tmp_path / "nowhere")
        assert os.access(Path(chosen[name]).parent, os.W_OK)


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert launch.environment()["OMP_WAIT_POLICY"] == "ACTIVE"


def test_lab_is_refused_where_there_are_no_notebooks(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "PACKAGE", tmp_path / "workbench")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkbenchError, match="clone of the repository"):
        launch.lab(launch.unused_port())


def test_a_missing_library_is_named_with_its_extra():
    with pytest.raises(WorkbenchError, match=r"lowbit-workbench\[apps\]"):
        launch._need("a_library_nobody_has", "apps")


def test_no_browser_is_opened_without_a_screen(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert not launch._has_screen()
