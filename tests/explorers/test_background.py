"""Background work: the newest alone is told, and it steps behind what is drawn."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from workbench.explorers.background import BEHIND, Newest


def test_only_the_newest_is_told():
    newest, gate, told = Newest(), threading.Event(), []
    newest.run(lambda stop: gate.wait(10) and stop(), told.append)
    newest.run(lambda stop: "new", told.append)
    gate.set()
    assert newest.wait(10)
    assert told == ["new"]


def test_what_breaks_is_handed_over():
    newest, told = Newest(), []
    newest.run(lambda stop: 1 / 0, told.append)
    assert newest.wait(10)
    assert isinstance(told[0], ZeroDivisionError)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux")
def test_it_steps_behind_and_leaves_the_others_where_they_are():
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    newest, told = Newest(), []
    newest.run(lambda stop: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), told.append)
    assert newest.wait(10)
    assert told == [max(before, BEHIND)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
