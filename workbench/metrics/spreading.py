"""Transforms that fill the quantizer's cube better, and the way from no transform to a whole one.

Rows are data, so that a transform T takes x to x @ T and a covariance S to T' S T. Whitening and
the rotation H Q' are those of Hu et al. 2025 ("OSTQuant"); both reach the limits of `qsur`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels import arrays
from .covariances import checked_covariance
from .qsur import LEVEL, Qsur, qsur


def transformed(covariance: Any, transform: Any) -> np.ndarray:
    """The covariance T' S T of data after a transform.

    Args:
        covariance: S, symmetric positive definite float `(channels, channels)`.
        transform: T, float `(channels, channels)`, or `(channels,)` for one factor a channel.

    A transform that is singular, not finite or of another size raises `WorkbenchError`.

    Example:
        >>> transformed(np.diag([4.0, 1.0]), [0.5, 1.0]).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    covariance = checked_covariance(covariance)
    matrix = checked_transform(transform, covariance.shape[0])
    if matrix.ndim == 1:
        return covariance * matrix * matrix[:, None]
    after = matrix.T @ covariance @ matrix
    return checked_covariance(0.5 * (after + after.T), "a transformed covariance")


def qsur_after(covariance: Any, transform: Any, mean: Any = None, level: float = LEVEL) -> Qsur:
    """The exact QSUR of data after a transform.

    Args:
        covariance: before it, symmetric positive definite float `(channels, channels)`.
        transform: float `(channels, channels)`, or `(channels,)` for one factor a channel.
        mean: before it, float `(channels,)`; None for zero.
        level: the share of a Gaussian that the ellipsoid holds, between 0 and 1.

    Example:
        >>> s = np.diag([4.0, 1.0])
        >>> round(qsur_after(s, spreading_rotation(s)).ratio, 6) == round(math.pi / 5, 6)
        True
    """
    after = transformed(covariance, transform)
    if mean is not None:
        matrix = checked_transform(transform, after.shape[0])
        vector = arrays.to_numpy(mean).astype(np.float64)
        mean = vector * matrix if matrix.ndim == 1 else vector @ matrix
    return qsur(after, mean, level)


def whitening(covariance: Any) -> np.ndarray:
    """The symmetric transform S^(-1/2) that makes a covariance the identity.

    Any rotation after it whitens too; this one changes the data least.

    Args:
        covariance: S, symmetric positive definite float `(channels, channels)`.

    Example:
        >>> whitening(np.diag([4.0, 1.0])).tolist()
        [[0.5, 0.0], [0.0, 1.0]]
    """
    variances, axes = np.linalg.eigh(checked_covariance(covariance))
    return (axes / np.sqrt(variances)) @ axes.T


def equalizing_scales(covariance: Any) -> np.ndarray:
    """Factors that make every channel as wide as their geometric mean, float64 `(channels,)`.

    Args:
        covariance: symmetric positive definite float `(channels, channels)`.

    Example:
        >>> equalizing_scales(np.diag([4.0, 1.0])).round(4).tolist()
        [0.7071, 1.4142]
    """
    logs = 0.5 * np.log(np.diag(checked_covariance(covariance)))
    return np.exp(logs.mean() - logs)


def spreading_rotation(covariance: Any) -> np.ndarray:
    """The rotation of largest QSUR: to the principal axes, then spread evenly over all channels.

    For a power of two of channels this is (H Q')' with Q's columns the principal axes and H
    Sylvester's Hadamard matrix over sqrt(channels). For any other number there may be no such H;
    then rotations of pairs of channels make the variances equal, one more a step.

    Args:
        covariance: symmetric positive definite float `(channels, channels)`.

    Returns:
        Orthogonal float64 `(channels, channels)` of determinant 1, after which all variances are
        equal.

    Example:
        >>> r = spreading_rotation(np.diag([4.0, 1.0]))
        >>> transformed(np.diag([4.0, 1.0]), r).round(6).tolist()
        [[2.5, 1.5], [1.5, 2.5]]
    """
    covariance = checked_covariance(covariance)
    axes = np.linalg.eigh(covariance)[1][:, ::-1]
    axes = axes * np.where(np.diag(axes) < 0, -1.0, 1.0)
    channels = axes.shape[0]
    if channels & (channels - 1):
        rotation = axes @ _levelling(axes.T @ covariance @ axes)
    else:
        rotation = axes @ hadamard(channels).T
    if np.linalg.slogdet(rotation)[0] < 0:
        rotation -= 2 * np.outer(axes[:, -1], axes[:, -1] @ rotation)  # flips that axis alone
    return rotation


def hadamard(size: int) -> np.ndarray:
    """Sylvester's Hadamard matrix over sqrt(size): orthogonal, all entries of one magnitude.

    Args:
        size: a power of two; any other raises `WorkbenchError`.

    Example:
        >>> hadamard(2).round(4).tolist()
        [[0.7071, 0.7071], [0.7071, -0.7071]]
    """
    if size < 1 or size & (size - 1):
        raise WorkbenchError(
            f"a Hadamard matrix of size {size}", "Sylvester's have a power of two", "write 256"
        )
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix / math.sqrt(size)


def _levelling(covariance: np.ndarray) -> np.ndarray:
    """A rotation after which all diagonal entries are equal, one pair of channels a step."""
    matrix, total = covariance.copy(), np.eye(covariance.shape[0])
    level = np.trace(matrix) / matrix.shape[0]
    for _ in range(matrix.shape[0] - 1):
        away = np.diag(matrix) - level
        high, low = int(away.argmax()), int(away.argmin())
        if away[low] >= 0:
            break
        cross = matrix[high, low]
        # The tangent for which entry `high` becomes the level: a root of a quadratic equation.
        root = math.sqrt(max(0.0, cross**2 - away[high] * away[low]))
        tangent = (cross + math.copysign(root, cross)) / away[low]
        cosine = 1 / math.hypot(1, tangent)
        turn = cosine * np.array([[1.0, tangent], [-tangent, 1.0]])
        pair = [high, low]
        matrix[:, pair] = matrix[:, pair] @ turn
        matrix[pair] = turn.T @ matrix[pair]
        total[:, pair] = total[:, pair] @ turn
    return total


def powers(transform: Any, shares: Iterable[float]) -> Iterator[np.ndarray]:
    """Parts of a transform: T^t for each t, the identity at 0 and the whole transform at 1.

    For a rotation it is the geodesic, every plane turned by the same share of its angle.

    Args:
        transform: factors `(channels,)` above 0, a symmetric positive definite matrix, or a
            rotation (orthogonal, determinant 1), float `(channels, channels)`.
        shares: the t, from 0 to 1.

    Any other matrix raises `WorkbenchError`.

    Example:
        >>> [p.tolist() for p in powers([4.0, 0.25], [0.0, 0.5])]
        [[1.0, 1.0], [2.0, 0.5]]
    """
    size = len(transform) if np.ndim(transform) else 0
    matrix = checked_transform(transform, size)
    if matrix.ndim == 1:
        if not (matrix > 0).all():
            raise _no_power("factors that are not all above 0")
        return (matrix**share for share in shares)
    if np.allclose(matrix, matrix.T, rtol=0, atol=1e-9 * np.abs(matrix).max()):
        values, axes = np.linalg.eigh(matrix)
        if values[0] > 0:
            return ((axes * values**share) @ axes.T for share in shares)
    if not np.allclose(matrix.T @ matrix, np.eye(len(matrix)), rtol=0, atol=1e-7):
        raise _no_power("a matrix that is neither symmetric positive nor orthogonal")
    if np.linalg.slogdet(matrix)[0] < 0:
        raise _no_power("a reflection (determinant -1)")
    return _turned(matrix, shares)


def _turned(rotation: np.ndarray, shares: Iterable[float]) -> Iterator[np.ndarray]:
    """Each share of a rotation, by the planes of its real Schur form."""
    from scipy.linalg import schur

    form, basis = schur(rotation, output="real")
    planes = _planes(form)
    for share in shares:
        part = np.eye(len(form))
        for pair, angle in planes:
            c, s = math.cos(share * angle), math.sin(share * angle)
            part[np.ix_(pair, pair)] = [[c, -s], [s, c]]
        yield basis @ part @ basis.T


def _planes(form: np.ndarray) -> list[tuple[list[int], float]]:
    """The pairs of axes that a rotation's Schur form turns, and by what angle."""
    planes, reversed_axes, at = [], [], 0
    while at < len(form):
        if at + 1 < len(form) and abs(form[at + 1, at]) > 1e-9:
            both = form[at : at + 2, at : at + 2]
            angle = math.atan2(both[1, 0] - both[0, 1], both[0, 0] + both[1, 1])
            planes.append(([at, at + 1], angle))
            at += 2
        else:
            reversed_axes += [at] if form[at, at] < 0 else []
            at += 1
    # Two axes that are reversed are one plane turned by half a circle; a rotation has no odd one.
    pairs = zip(reversed_axes[::2], reversed_axes[1::2], strict=True)
    return planes + [([i, j], math.pi) for i, j in pairs]


def _no_power(passed: str) -> WorkbenchError:
    return WorkbenchError(
        passed,
        "it has no real part of the way to it",
        "pass positive factors, a symmetric positive definite matrix or a rotation",
    )


def checked_transform(transform: Any, channels: int) -> np.ndarray:
    """A transform as finite float64, `(channels,)` or `(channels, channels)`, and invertible.

    Example:
        >>> checked_transform([1.0, 2.0], 2).tolist()
        [1.0, 2.0]
    """
    matrix = arrays.to_numpy(transform).astype(np.float64)
    if matrix.shape not in ((channels,), (channels, channels)) or not np.isfinite(matrix).all():
        raise WorkbenchError(
            f"a transform of shape {matrix.shape}",
            f"it acts on {channels} channels with finite numbers",
            f"pass ({channels},) factors or a ({channels}, {channels}) matrix",
        )
    size = np.abs(matrix)
    flat = size.min() / size.max() if matrix.ndim == 1 else 1 / np.linalg.cond(matrix, 1)
    if not flat > channels * np.finfo(np.float64).eps:
        raise WorkbenchError(
            "a transform that is singular", "it cannot be undone in the next layer",
            "pass an invertible matrix, or factors other than 0",
        )  # fmt: skip
    return matrix
