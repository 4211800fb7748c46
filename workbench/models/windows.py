"""Windows of text read side by side, each on one thread, their results in order.

A network computes the same bits on one thread wherever it runs; with results taken in the order of
the windows, everything that is added up from them is the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from workbench.kernels.threads import one_torch_thread, thread_count

Item = TypeVar("Item")
Result = TypeVar("Result")


def overlapping(ids: Tensor, context: int, stride: int) -> Iterator[tuple[Tensor, int]]:
    """Windows of at most `context + 1` tokens, and how many of their last tokens are new.

    >>> [(w.tolist(), new) for w, new in overlapping(torch.arange(6), 3, 2)]
    [([0, 1, 2, 3], 3), ([2, 3, 4, 5], 2)]
    """
    scored = 1
    for start in range(0, len(ids) - 1, stride):
        window = ids[start : start + context + 1]
        end = start + len(window)
        if end > scored:
            yield window, end - scored
        scored = max(scored, end)


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results of `work` in the order of the items, as many at a time as there are threads.

    >>> list(in_order(lambda x: x * x, [1, 2, 3]))
    [1, 4, 9]
    """
    workers, rest = thread_count(), iter(items)
    with (
        one_torch_thread(),
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        waiting = [pool.submit(work, item) for item in islice(rest, workers)]
        while waiting:
            result = waiting.pop(0).result()
            waiting += [pool.submit(work, item) for item in islice(rest, 1)]
            yield result
