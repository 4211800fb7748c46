"""Exact numbers behind the sketch's: a thread that works on the newest request, dropping others."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

BEHIND = 10  # niceness of a thread that works behind the pictures


class Newest:
    """Runs the newest piece of work in a thread; an older one is told to stop and its result lost.

    Example:
        >>> newest, results = Newest(), []
        >>> newest.run(lambda stop: 6 * 7, results.append)
        >>> newest.wait(10)
        True
        >>> results
        [42]
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = 0
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None

    def run(
        self,
        work: Callable[[Callable[[], bool]], Any],
        done: Callable[[Any], None],
        delay: float = 0.0,
    ) -> None:
        """Start `work(stop)` after `delay` seconds, unless something newer comes before.

        Args:
            work: gets a function that is true once the result is no longer wanted.
            done: gets the result, in the working thread, only while it is the newest; an exception
                of the work is given to it in place of a result.
            delay: seconds of quiet to wait for, so that a moving slider starts nothing.
        """
        with self._lock:
            self._turn += 1
            turn = self._turn
            self._idle.clear()
        self._thread = threading.Thread(
            target=self._serve, args=(turn, work, done, delay), daemon=True
        )
        self._thread.start()

    def cancel(self) -> None:
        """Drop whatever is under way."""
        with self._lock:
            self._turn += 1
            self._idle.set()

    def wait(self, seconds: float) -> bool:
        """Wait until the newest work is done or dropped; false if it took longer."""
        return self._idle.wait(seconds)

    def _serve(self, turn: int, work: Callable, done: Callable, delay: float) -> None:
        step_back()
        pause = threading.Event()
        if delay:
            pause.wait(delay)
        if self._turn != turn:
            return
        try:
            result = work(lambda: self._turn != turn)
        except Exception as problem:
            result = problem
        if self._turn != turn:
            return
        try:
            done(result)
        finally:
            with self._lock:
                if self._turn == turn:
                    self._idle.set()


def step_back() -> None:
    """Let all other threads go before this one, and those that it starts, where Linux can.

    What is drawn for a click then does not wait for what is measured behind it.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BEHIND)
