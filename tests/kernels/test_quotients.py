"""Division by a scale, as a product with its inverse and one correction, is exact division."""

import numba
import numpy as np
import pytest

from workbench.kernels.lane_steps import quotient_lanes
from workbench.kernels.lanes import HAS_FUSED, LANES, load, store

FIRST, LAST = 1 << 23, 1 << 24  # significands as whole numbers
STEP = 8  # every eighth divisor, from a start that `seed` chooses


@numba.njit(nogil=True, error_model="numpy")
def _quotients(a, b, inverse, out):
    for i in range(0, a.size, LANES):
        store(out, i, quotient_lanes(load(a, i), load(b, i), load(inverse, i)))


def _divided(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b by the lanes, from correctly rounded inverses."""
    padded = [np.ones(-(-a.size // LANES) * LANES, np.float32) for _ in range(2)]
    padded[0][: a.size], padded[1][: a.size] = a, b
    out = np.empty_like(padded[0])
    _quotients(*padded, 1 / padded[1], out)
    return out[: a.size]


@numba.njit(nogil=True)
def _near_ties(start, step, numerators, divisors):
    """Pairs of significands whose quotient lies within 4 / divisor of half a unit from a float32.

    With m the significand of the tie, in 25 bits, a * 2^j - b * m = d for a small d: for every
    divisor b and every d the numerator follows from its rest modulo b's odd part. No quotient is
    a tie itself. Returns how many pairs there are.
    """
    n = 0
    for b in range(start, LAST, step):
        odd, twos = b, 0
        while odd & 1 == 0:
            odd, twos = odd >> 1, twos + 1
        for d in (-4, -3, -2, -1, 1, 2, 3, 4):
            if twos > 2 or d % (1 << twos) != 0:
                continue
            for j in (24, 25):
                rest = (d >> twos) % odd
                for _ in range(j - twos):
                    rest = rest >> 1 if rest & 1 == 0 else (rest + odd) >> 1
                a = rest + (FIRST - rest + odd - 1) // odd * odd
                while a < LAST:
                    if (a >= b) == (j == 24):
                        numerators[n], divisors[n] = a, b
                        n += 1
                    a += odd
    return n


@pytest.mark.parametrize("start", range(STEP))
def test_every_quotient_near_a_tie_is_rounded_correctly(start):
    """What lies further from a tie than this cannot be rounded wrongly: see `quotient_lanes`."""
    room = 32 * (LAST - FIRST) // STEP
    a, b = np.empty(room, np.float32), np.empty(room, np.float32)
    n = _near_ties(FIRST + start, STEP, a, b)
    assert n > 1_000_000 or start % 8 == 0
    assert np.array_equal(_divided(a[:n], b[:n]), a[:n] / b[:n])


@pytest.mark.parametrize("exponent", [-60, -17, 0, 31, 60])
def test_any_quotients_are_those_of_the_division(exponent):
    rng = np.random.default_rng(exponent + 60)
    b = np.ldexp(rng.uniform(1, 2, 1 << 18), exponent).astype(np.float32)
    a = (b * np.ldexp(rng.uniform(-2, 2, b.size), rng.integers(-38, 40, b.size))).astype(np.float32)
    assert np.array_equal(_divided(a, b), a / b)


@pytest.mark.skipif(not HAS_FUSED, reason="NOT CHECKED: this processor has no fused multiplication")
def test_without_the_correction_some_would_be_wrong():
    b = np.arange(FIRST, FIRST + 1000).astype(np.float32)
    a = np.full_like(b, FIRST + 12345)
    assert not np.array_equal(a * (1 / b), a / b)
