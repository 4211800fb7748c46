"""Chunked threads: serial kernels without the interpreter lock, over slices of about a megabyte.

A chunk's result depends only on its own values and on where it starts, so every result is the
same for any number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from threading import Lock
from typing import TypeVar

from ..errors import WorkbenchError

CHUNK = 1 << 18  # values: 1 MB of float32
SERIAL_BELOW = 1 << 20  # values: under 4 MB, handing out work costs more than it saves

T = TypeVar("T")

_threads: int | None = None


def thread_count() -> int:
    """How many threads kernels use: `set_threads`, else `WORKBENCH_THREADS`, else the cores.

    Example:
        >>> thread_count() >= 1
        True
    """
    if _threads is not None:
        return _threads
    wanted = os.environ.get("WORKBENCH_THREADS")
    if wanted:
        return _count(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _count(text: str) -> int:
    if text.isdigit() and int(text) > 0:
        return int(text)
    why = "it is how many threads kernels use, a whole number from 1"
    raise WorkbenchError(f"WORKBENCH_THREADS={text}", why, "write WORKBENCH_THREADS=2, or unset it")


def set_threads(count: int | None) -> None:
    """Use `count` threads from now on; None goes back to the environment's choice.

    Example:
        >>> set_threads(1); thread_count()
        1
        >>> set_threads(None)
    """
    global _threads
    _threads = None if count is None else max(1, int(count))


@lru_cache(maxsize=4)
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="workbench-kernel")


def spans(size: int, step: int) -> list[tuple[int, int]]:
    """The half-open index ranges of `step` that cover `range(size)`.

    Example:
        >>> spans(5, 2)
        [(0, 2), (2, 4), (4, 5)]
    """
    return [(start, min(start + step, size)) for start in range(0, size, step)]


def over_chunks(work: Callable[[int, int], object], size: int, values_each: int = 1) -> list:
    """`work(start, stop)` over all of `range(size)`, in chunks of about `CHUNK` values, in order.

    Args:
        work: called with an index range; must release the interpreter lock to gain anything.
        size: how many items there are.
        values_each: values behind one item (a row's length), which sets the chunk's size.

    Example:
        >>> over_chunks(lambda a, b: b - a, 3)
        [3]
    """
    if size * values_each < SERIAL_BELOW or size < 2 or (count := thread_count()) == 1:
        return [work(0, size)] if size else []
    step = max(1, CHUNK // max(1, values_each))
    parts = spans(size, step)
    return list(_pool(count).map(lambda span: work(*span), parts))


def together(*works: Callable[[], T]) -> list[T]:
    """What pieces of work that do not depend on each other return, on all threads.

    Each must release the interpreter lock to gain anything. They have threads of their own, so that
    kernels which hand out chunks may be called inside.

    Example:
        >>> together(lambda: 1, lambda: 2)
        [1, 2]
    """
    count = min(len(works), thread_count())
    if count < 2:
        return [work() for work in works]
    with ThreadPoolExecutor(count, thread_name_prefix="workbench-work") as pool:
        return list(pool.map(lambda work: work(), works))


class _Limited:
    """A library on one thread while anybody is inside; the last one out gives the threads back."""

    def __init__(self, limit: Callable[[], Callable[[], object]]) -> None:
        self.limit, self.lock, self.inside = limit, Lock(), 0
        self.give_back: Callable[[], object] = lambda: None

    @contextmanager
    def inside_it(self) -> Iterator[None]:
        """Enter, and leave again."""
        with self.lock:
            if self.inside == 0:
                self.give_back = self.limit()
            self.inside += 1
        try:
            yield
        finally:
            with self.lock:
                self.inside -= 1
                if self.inside == 0:
                    self.give_back()


def _limit_blas() -> Callable[[], object]:
    return _controller().limit(limits=1, user_api="blas").restore_original_limits


def _limit_torch() -> Callable[[], object]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    return lambda: torch.set_num_threads(before)


_blas, _torch = _Limited(_limit_blas), _Limited(_limit_torch)


def one_blas_thread() -> AbstractContextManager[None]:
    """Have NumPy and SciPy multiply matrices on one thread each: the same sums on any machine.

    Example:
        >>> with one_blas_thread():
        ...     total = sum([1.0])
    """
    return _blas.inside_it()


def one_torch_thread() -> AbstractContextManager[None]:
    """Have torch compute on one thread: sums of products then have one order on any machine.

    Example:
        >>> import torch
        >>> with one_torch_thread():
        ...     torch.get_num_threads()
        1
    """
    return _torch.inside_it()


@lru_cache(maxsize=1)
def _controller():
    """The thread pools of the libraries that are loaded, looked for once."""
    import scipy.linalg  # noqa: F401  (so that its library is among them)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
