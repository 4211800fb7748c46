"""Named parameters as one flat array: handing a kernel an array takes under a microsecond.

A named tuple of forty fields takes a tenth of a millisecond, as long as rounding a million values.
Kernels read the array back into the named tuple once, where it is registers again.
"""

from __future__ import annotations

import numpy as np

from .cache import as_float32, jit
from .steps import AnyFloat, FastFloat


def words_of(*parts) -> np.ndarray:
    """int32 and float32 scalars, and named tuples of them, as one array of their bit patterns.

    Example:
        >>> words_of(np.int32(3), (np.float32(1.0),))
        array([         3, 1065353216], dtype=int32)
    """
    words: list = []
    for part in parts:
        if isinstance(part, tuple):
            words.extend(words_of(*part))
        else:
            words.append(part.view(np.int32))
    return np.array(words, np.int32)


FAST_FLOAT_WORDS = len(FastFloat._fields)


@jit
def fast_float(words, at):
    """The FastFloat that `words_of` wrote at index `at`."""
    return FastFloat(
        words[at],
        words[at + 1],
        words[at + 2],
        as_float32(words[at + 3]),
        as_float32(words[at + 4]),
        as_float32(words[at + 5]),
        words[at + 6],
        words[at + 7],
        words[at + 8],
        words[at + 9],
        words[at + 10],
    )


@jit
def any_float(numbers):
    """The AnyFloat whose fields are these float64 numbers."""
    return AnyFloat(
        np.int64(numbers[0]),
        np.int64(numbers[1]),
        numbers[2],
        numbers[3],
        np.int64(numbers[4]),
        numbers[5],
        numbers[6],
        numbers[7],
        np.int64(numbers[8]),
    )
