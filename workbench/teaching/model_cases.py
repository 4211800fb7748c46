"""The inputs and true answers of the exercises on tensors: simple ones first, then corners, then
random ones.

Each truth is that of the metrics and schemes, or a line or two of NumPy which the tests hold equal
to the part of the workbench that does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..schemes import parse
from .records import SEED, Case

Inputs = tuple[str, *tuple[Any, ...]]  # what is special about it, then the arguments


def _cases(truth: Callable[..., Any], inputs: Iterable[Inputs]) -> list[Case]:
    """Cases whose answers `truth` gives."""
    return [Case(tuple(given), truth(*given), about=about) for about, *given in inputs]


def _random(*shape: int, draw: int = 0) -> np.ndarray:
    """Gaussian numbers, float64; not rounded, as decimals would lie half-way too often."""
    return np.random.default_rng([SEED, draw, *shape]).standard_normal(shape)


def _with_outliers(*shape: int, draw: int = 0, factor: float = 40.0) -> np.ndarray:
    """The same with two channels many times as large."""
    x = _random(*shape, draw=draw)
    x[..., [1, -1]] *= factor
    return x


def scale_channel() -> list[Case]:
    """Which channel sets the scale: the column of the largest magnitude, the first of equals."""
    constant = np.full((4, 3), 2.0)
    constant[1, 2] = -2.5
    many = _random(64, 16, draw=2)
    many[:, 3] += 1.0
    many[40, 11] = -6.5
    inputs = [
        ("the largest magnitude is negative", np.array([[1.0, -9.0], [4.0, 3.0]])),
        ("one token alone is large", np.array([[1.0, 1.0, 4.0], [1.0, 6.0, -4.0]])),
        ("the channels are equally large on average", constant),
        ("two channels reach as far", np.array([[1.0, -4.0, 2.0], [3.0, 1.0, 4.0]])),
        ("every value is zero", np.zeros((3, 4))),
        ("random tokens", _random(6, 5)),
        ("two channels are large", _with_outliers(32, 8, draw=1)),
        ("one token of 64 is large in one channel", many),
    ]
    return _cases(lambda x: int(np.argmax(np.abs(x).max(axis=0))), inputs)


def flushed_share() -> list[Case]:
    """The share of values that are not zero and become zero under one int8 scale."""
    scheme = parse("int8/tensor")
    tie = np.array([[127.0, 0.5, -0.5, 0.51], [1.0, -0.4, 1.5, 3.0]])
    inputs = [
        ("one value sets the scale", np.array([[254.0, 0.9, -0.9, 3.0]])),
        ("some values are zero already", np.array([[127.0, 0.0, 0.0, 0.2], [0.0, 5.0, 9.0, -0.3]])),
        ("values lie half-way to the first step", tie),
        ("the largest magnitude is negative", np.array([[-127.0, 0.4, 0.6, 2.0]])),
        ("every value is zero", np.zeros((2, 3))),
        ("no value is lost", np.array([[3.0, -3.0], [2.0, 1.0]])),
        ("random tokens", _random(16, 8)),
        ("two channels are large", _with_outliers(32, 8, draw=1)),
        ("two channels are very large", _with_outliers(32, 8, draw=2, factor=500.0)),
    ]
    return _cases(lambda x: float(np.mean((scheme.round(x) == 0) & (x != 0))), inputs)


def mixed_product() -> list[Case]:
    """The product in two parts of LLM.int8()."""
    x, w = _random(3, 4), _random(2, 4, draw=1)
    large, wide = _with_outliers(3, 4), _with_outliers(6, 16, draw=2)
    inputs = [
        ("no channel is large", x, w, 6.0),
        ("two channels are large", large, w, 6.0),
        ("one value is exactly the threshold", np.array([[6.0, 1.0, 0.3], [0.5, 2.0, -1.0]]),
         _random(2, 3, draw=3), 6.0),
        ("the large value is negative", np.array([[-20.0, 1.0, 0.3], [0.5, 2.0, -1.0]]),
         _random(2, 3, draw=3), 6.0),
        ("every channel is large", large, w, 0.0),
        ("random tokens, two channels large", wide, _random(5, 16, draw=4), 6.0),
        ("the same, with a lower threshold", wide, _random(5, 16, draw=4), 1.5),
    ]  # fmt: skip
    return _cases(two_parts, inputs)


def two_parts(x: np.ndarray, w: np.ndarray, threshold: float) -> np.ndarray:
    """LLM.int8(): channels with a value of `threshold` or more in float, the others in int8.

    Args:
        x: (tokens, features); those without the large channels have one scale a token.
        w: (outputs, features), with one scale an output.
        threshold: a magnitude.

    Example:
        >>> two_parts(np.array([[8.0, 1.0]]), np.array([[1.0, 1.0]]), 6.0).round(6).tolist()
        [[9.0]]
    """
    large = np.abs(x).max(axis=0) >= threshold
    rest = parse("int8/token").round(np.where(large, 0.0, x))
    return x[:, large] @ w[:, large].T + rest @ parse("int8/channel").round(w).T


def decibels() -> list[Case]:
    """The SQNR of a rounded copy."""
    from ..metrics import sqnr

    x, ones = _random(4, 6), np.ones(4)
    int4 = parse("int4/tensor").round(x)
    inputs = [
        ("every value is 10 % off", ones, ones * np.array([0.9, 1.1, 0.9, 1.1])),
        ("all errors have one sign", np.array([3.0, 4.0]), np.array([3.5, 4.5])),
        ("the errors cancel in the mean", np.array([10.0, 10.0]), np.array([9.0, 11.0])),
        ("nothing is changed", x, x.copy()),
        ("one value is zero", np.array([0.0, 10.0]), np.array([0.5, 10.0])),
        ("the error is as large as the signal", np.array([2.0, -1.0]), np.zeros(2)),
        ("a random matrix under int4", x, int4),
        ("the same, a thousand times as large", 1000 * x, 1000 * int4),
    ]
    return _cases(sqnr, inputs)


def three_causes() -> list[Case]:
    """Squared error by rounding, clipping and flush to zero."""
    wide = _with_outliers(16, 8, draw=1)
    inputs = [
        ("one value of each cause", np.array([9.0, 0.3, 2.4, 0.0]), np.array([7.0, 0.0, 2.0, 0.0]),
         7.0),
        ("a negative value is clipped", np.array([-9.0, 0.3, 2.4]), np.array([-7.0, 0.0, 2.0]),
         7.0),
        ("nothing is clipped", np.array([6.6, -0.4, 2.4, 1.0]), np.array([7.0, 0.0, 2.0, 1.0]),
         7.0),
        ("nothing is changed", np.array([1.0, -2.0, 0.0]), np.array([1.0, -2.0, 0.0]), 7.0),
        ("the largest value is not clipped", np.array([7.0, -7.0, 0.6]),
         np.array([7.0, -7.0, 1.0]), 7.0),
        ("a tensor with outliers", wide, np.clip(np.round(wide), -7, 7), 7.0),
        ("the same, hardly clipped", wide, np.clip(np.round(wide), -127, 127), 127.0),
    ]  # fmt: skip
    return _cases(by_cause, inputs)


def by_cause(x: np.ndarray, y: np.ndarray, largest: float) -> np.ndarray:
    """Mean squared error over all values, by rounding, clipping and flush to zero.

    Example:
        >>> by_cause(np.array([9.0, 0.5, 2.0]), np.array([7.0, 0.0, 2.0]), 7.0).round(4).tolist()
        [0.0, 1.3333, 0.0833]
    """
    squares, clipped = (y - x) ** 2, np.abs(x) > largest
    flushed = (y == 0) & (x != 0) & ~clipped
    parts = (~clipped & ~flushed, clipped, flushed)
    return np.array([squares[part].sum() / x.size for part in parts])


def output_error() -> list[Case]:
    """The squared error of a layer's output, from its weight error and its inputs' products."""
    from ..metrics import weighted_error

    x, d = _random(20, 3), _random(2, 3, draw=1)
    both = np.array([[2.0, 1.0], [1.0, 2.0]])
    inputs = [
        ("the inputs are independent", np.array([[1.0, 2.0]]), np.diag([1.0, 4.0])),
        ("two inputs go together", np.array([[1.0, 1.0]]), both),
        ("the errors of two inputs cancel", np.array([[1.0, -1.0]]), both),
        ("no weight is changed", np.zeros((2, 2)), both),
        ("one input is never used", np.array([[5.0, 1.0]]), np.diag([0.0, 1.0])),
        ("two outputs", np.array([[1.0, -1.0], [0.5, 0.5]]), both),
        ("random inputs", d, x.T @ x),
        ("random inputs of many features", _random(4, 12, draw=2), np.cov(_random(60, 12).T)),
    ]
    return _cases(weighted_error, inputs)


def smoothing_factors() -> list[Case]:
    """What each input channel is divided by in SmoothQuant."""
    x = np.array([[100.0, 1.0, 0.5], [-50.0, 0.5, -4.0]])
    w = np.array([[1.0, 1.0, -2.0], [0.5, -4.0, 1.0]])
    dead, idle = x.copy(), w.copy()
    dead[:, 1], idle[:, 2] = 0.0, 0.0
    inputs = [
        ("one channel is large", x, np.abs(w), 0.5),
        ("the largest values are negative", -x, w, 0.5),
        ("all of it goes into the weights", x, w, 1.0),
        ("none of it does", x, w, 0.0),
        ("a channel is always zero", dead, w, 0.5),
        ("the weights of a channel are zero", x, idle, 0.5),
        ("random tokens, two channels large", _with_outliers(24, 8), _random(5, 8, draw=1), 0.5),
        ("the same, with another share", _with_outliers(24, 8), _random(5, 8, draw=1), 0.8),
    ]
    return _cases(smoothing, inputs)


def smoothing(x: np.ndarray, w: np.ndarray, alpha: float) -> np.ndarray:
    """SmoothQuant's max|x| ** alpha / max|w| ** (1 - alpha) a channel; 1 where either is 0.

    Example:
        >>> smoothing(np.array([[100.0, 1.0]]), np.array([[1.0, 1.0]]), 0.5).tolist()
        [10.0, 1.0]
    """
    inputs, weights = np.abs(x).max(axis=0), np.abs(w).max(axis=0)
    used = (inputs > 0) & (weights > 0)
    factors = np.where(used, inputs, 1.0) ** alpha / np.where(used, weights, 1.0) ** (1 - alpha)
    return np.where(used, factors, 1.0)


def rotated_weights() -> list[Case]:
    """The weight that goes with rotated inputs."""
    from ..metrics.spreading import hadamard

    signs = np.random.default_rng(SEED).choice([-1.0, 1.0], 16)
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    inputs = [
        ("a quarter turn", np.array([[1.0, 2.0], [3.0, 5.0]]), quarter),
        ("channels in another order", np.array([[1.0, 2.0, 3.0]]), np.eye(3)[[1, 2, 0]]),
        ("nothing is turned", _random(2, 3), np.eye(3)),
        ("a Hadamard matrix", _random(2, 4), hadamard(4)),
        ("random signs, then a Hadamard matrix", _random(3, 16), signs[:, None] * hadamard(16)),
        ("any rotation", _random(5, 6), np.linalg.qr(_random(6, 6, draw=1))[0]),
    ]
    return _cases(lambda w, q: w @ q, inputs)


def unused_bits() -> list[Case]:
    """How many bits a channel the range leaves unused, against a ball in its cube."""
    from ..metrics import best_by_both, qsur

    tilted = np.array([[4.0, 1.8], [1.8, 1.0]])
    turned = np.array([[2.5, 1.5], [1.5, 2.5]])
    inputs = [
        ("two channels, equally wide", np.eye(2)),
        ("one channel is four times as wide", np.diag([16.0, 1.0])),
        ("two channels that go together", tilted),
        ("equally wide channels that go together", turned),
        ("in another unit", 1e-6 * tilted),
        ("ten random channels", np.cov(_with_outliers(80, 10).T)),
        ("four hundred narrow channels", np.diag(np.linspace(1e-4, 4e-4, 400))),
    ]
    return _cases(lambda c: qsur(c).bits_under(best_by_both(len(c))), inputs)
