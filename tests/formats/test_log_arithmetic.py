"""Sums and products of logarithmic numbers against correctly rounded ones."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import workbench as wb
from workbench.formats.log_arithmetic import add, difference_table, multiply, sum_table


def _pairs(f, count: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    half = int(f.logarithms[-1]) // 2
    signs = rng.choice([-1, 1], (2, count))
    a, b = signs * f.power(rng.integers(-half, half, (2, count)))
    return a, b


@pytest.mark.parametrize("name", ["lns4.4", "lns5.3", "lns6.2", "lns3.5"])
def test_sums_are_the_true_sums_rounded(name):
    f = wb.format(name)
    a, b = _pairs(f, 10_000)
    with mpmath.workdps(30):
        one = 2**f.fraction
        exact = []
        for x, y in zip(a.tolist(), b.tolist(), strict=True):
            lx = mpmath.mpf(round(float(np.log2(abs(x))) * one)) / one
            ly = mpmath.mpf(round(float(np.log2(abs(y))) * one)) / one
            total = np.sign(x) * mpmath.power(2, lx) + np.sign(y) * mpmath.power(2, ly)
            steps = mpmath.nint(one * mpmath.log(abs(total), 2)) if total else None
            small = steps is None or steps < -int(f.logarithms[-1])
            exact.append(0.0 if small else float(np.sign(float(total)) * f.power(int(steps))))
    assert np.array_equal(add(f, a, b), exact)


def test_products_add_logarithms_and_are_exact():
    f = wb.format("lns6.3")
    a, b = _pairs(f, 10_000, 1)
    assert multiply(f, a, b) == pytest.approx(a * b, rel=1e-14)
    assert np.isin(multiply(f, a, b), f.values).all()


def test_the_table_is_empty_after_its_known_length():
    assert sum_table(4).size == 89
    for fraction in range(7):
        d = np.array([sum_table(fraction).size, sum_table(fraction).size - 1])
        rounded = np.rint(2**fraction * np.log2(1 + 2.0 ** (-d / 2**fraction)))
        assert rounded.tolist() == [0, 1]
        assert (np.diff(difference_table(fraction)[1:]) >= 0).all()


def test_zeros_opposites_and_ends():
    f = wb.format("lns4.3")
    big, tiny = f.max, f.smallest
    a = np.array([0.0, 0.0, 2.0, 2.0, big, -big, tiny, tiny])
    b = np.array([0.0, -2.0, 0.0, -2.0, big, -big, -tiny, 0.0])
    assert add(f, a, b).tolist() == [0.0, -2.0, 2.0, 0.0, big, -big, 0.0, tiny]
    assert multiply(f, [big, tiny, 0.0], [big, tiny, big]).tolist() == [big, 0.0, 0.0]
