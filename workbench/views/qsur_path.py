"""What the utilisation view draws: a covariance on its way from no transform to a whole one.

At every step data and cube are measured in half the cube's edge, so that the quantizer's range is
from -1 to 1 in every channel, and the ellipse is seen to fill it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import WorkbenchError, unknown
from ..metrics.covariances import checked_covariance
from ..metrics.qsur import (
    LEVEL,
    Qsur,
    best_by_both,
    best_by_rotation,
    best_by_scaling,
    ellipsoid_radius,
    published_qsur,
    qsur,
)
from ..metrics.spreading import (
    checked_transform,
    equalizing_scales,
    powers,
    spreading_rotation,
    whitening,
)

TRANSFORMS = {
    "scaling": equalizing_scales, "rotation": spreading_rotation, "whitening": whitening,
}  # fmt: skip
PRINCIPAL = "principal"
MOST_POINTS, MOST_SIDES = 300, 180


@dataclass(frozen=True, eq=False)
class QsurPath:
    """Utilisation and a two-dimensional picture of data along a transform's path.

    Args:
        transform: what it is called, such as one of `TRANSFORMS`.
        plane: what the two axes of the picture are, in words.
        channels: how many there are.
        t: parts of the transform, ascending from 0 to 1, float64 `(steps,)`.
        exact, published: the utilisation at each step.
        limits: the most that each kind of transform attains.
        ellipses: `(steps, 2, 2)`, covariances in the plane, in squares of half the cube's edge,
            with the ellipse that holds 99 % of two channels just inside the cube.
        frames: the shadow of the cube on the plane at each step, corners `(corners, 2)`.
        points: `(steps, n, 2)`, rows of the data less their mean, in the same unit.

    Example:
        >>> path = QsurPath.of([[4.0, 1.8], [1.8, 1.0]], "whitening", steps=3)
        >>> [round(one.ratio, 2) for one in path.exact]
        [0.17, 0.39, 0.79]
    """

    transform: str
    plane: str
    channels: int
    t: np.ndarray
    exact: tuple[Qsur, ...]
    published: tuple[Qsur, ...]
    limits: dict[str, Qsur]
    ellipses: np.ndarray = field(repr=False)
    frames: tuple[np.ndarray, ...] = field(repr=False)
    points: np.ndarray = field(repr=False)

    @classmethod
    def of(
        cls,
        covariance: Any,
        transform: Any = "whitening",
        plane: tuple[int, int] | str | None = None,
        rows: Any = None,
        steps: int = 21,
        name: str = "transform",
    ) -> QsurPath:
        """The path of a covariance.

        Args:
            covariance: symmetric positive definite float `(channels, channels)`, 2 at least.
            transform: "scaling" (each channel), "rotation" (H Q') or "whitening"; or factors
                above 0 `(channels,)`, a symmetric positive definite matrix or a rotation.
            plane: two channels, or "principal" for the plane of the two longest axes, which moves
                with the transform; None for the channels of largest and of median variance.
            rows: float `(n, channels)` of the data, of which at most 300 are drawn; None for none.
            steps: how many parts of the transform, at least 2; with 2 alone, before and after,
                the transform may be any invertible matrix.
            name: what a transform given by its numbers is called.

        Anything else raises `WorkbenchError`.
        """
        covariance = checked_covariance(covariance)
        if steps < 2:
            raise WorkbenchError(f"{steps} steps", "a path has two ends", "write 21")
        t = np.linspace(0, 1, steps)
        sample, base = _sample(rows, len(covariance)), _plane(covariance, plane)
        name, whole = _named(covariance, transform, name)
        drawn = [
            _Step.of(covariance, np.diag(part) if part.ndim == 1 else part, base, sample)
            for part in _parts(whole, t)
        ]
        return cls(
            transform=name,
            plane=base.name,
            channels=len(covariance),
            t=t,
            exact=tuple(step.exact for step in drawn),
            published=tuple(step.published for step in drawn),
            limits=_limits(covariance),
            ellipses=np.array([step.ellipse for step in drawn]),
            frames=tuple(step.frame for step in drawn),
            points=np.array([step.points for step in drawn]),
        )

    def step(self, t: float) -> int:
        """The number of the step next to `t`, which is from 0 to 1."""
        if not 0 <= t <= 1:
            raise WorkbenchError(
                f"t = {t}", "it is a part of the transform", "write 0.0 (before) to 1.0 (after)"
            )
        return int(np.abs(self.t - t).argmin())


@dataclass(frozen=True)
class _Plane:
    """Two orthonormal directions `(channels, 2)`, and whether they move with the transform."""

    name: str
    axes: np.ndarray
    moves: bool

    def after(self, part: np.ndarray) -> np.ndarray:
        """The two directions among transformed channels."""
        if not self.moves:
            return self.axes
        moved, signs = np.linalg.qr(part.T @ self.axes)
        return moved * np.where(np.diag(signs) < 0, -1.0, 1.0)


@dataclass(frozen=True)
class _Step:
    """One step of a path."""

    exact: Qsur
    published: Qsur
    ellipse: np.ndarray
    frame: np.ndarray
    points: np.ndarray

    @classmethod
    def of(
        cls, covariance: np.ndarray, part: np.ndarray, plane: _Plane, sample: np.ndarray
    ) -> _Step:
        after = part.T @ covariance @ part
        after = 0.5 * (after + after.T)
        axes = plane.after(part)
        half = ellipsoid_radius(LEVEL, 2) * float(np.sqrt(np.diag(after).max()))
        return cls(
            exact=qsur(after),
            published=published_qsur(after),
            ellipse=axes.T @ after @ axes / half**2,
            frame=shadow(axes),
            points=sample @ part @ axes / half,
        )


def _named(covariance: np.ndarray, transform: Any, name: str) -> tuple[str, Any]:
    """The name and the numbers of a transform that was given by either."""
    if not isinstance(transform, str):
        return name, checked_transform(transform, len(covariance))
    if transform not in TRANSFORMS:
        raise unknown("transform", transform, TRANSFORMS)
    return transform, TRANSFORMS[transform](covariance)


def _parts(whole: np.ndarray, t: np.ndarray) -> Iterable[np.ndarray]:
    """The transform at each part; its two ends need no power of it."""
    if len(t) > 2:
        return powers(whole, t)
    return [np.ones(len(whole)) if whole.ndim == 1 else np.eye(len(whole)), whole]


def _limits(covariance: np.ndarray) -> dict[str, Qsur]:
    """The most that each kind of transform attains."""
    return {
        "scaling": best_by_scaling(covariance),
        "rotation": best_by_rotation(covariance),
        "any transform": best_by_both(len(covariance)),
    }


def shadow(axes: np.ndarray) -> np.ndarray:
    """The corners of the shadow that the cube from -1 to 1 throws on a plane.

    Args:
        axes: the plane, two orthonormal directions `(channels, 2)`.

    Returns:
        Corners of a convex polygon in turn, float64 `(corners, 2)`; directions closer than a
        degree to each other are drawn as one side.

    Example:
        >>> shadow(np.eye(2)).tolist()
        [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]
    """
    edges = axes[np.hypot(*axes.T) > 1e-12]
    edges = np.where((edges[:, 1] < 0) | ((edges[:, 1] == 0) & (edges[:, 0] < 0)), -1, 1)[
        :, None
    ] * edges  # fmt: skip
    angle = np.arctan2(edges[:, 1], edges[:, 0]) % np.pi
    bins = np.floor(angle * MOST_SIDES / np.pi + 1e-9).astype(int)
    sides = np.array([edges[bins == one].sum(axis=0) for one in np.unique(bins)])
    first = -sides.sum(axis=0)
    half = first + np.vstack([[0.0, 0.0], 2 * np.cumsum(sides, axis=0)[:-1]])
    return np.vstack([half, -half])


def _plane(covariance: np.ndarray, plane: tuple[int, int] | str | None) -> _Plane:
    """The plane that was asked for."""
    channels = len(covariance)
    if channels < 2:
        raise WorkbenchError(
            "a covariance of 1 channel", "a picture has two axes", "pass 2 channels or more"
        )
    if plane == PRINCIPAL:
        axes = np.linalg.eigh(covariance)[1][:, :-3:-1]
        return _Plane("the two longest principal axes", axes, True)
    if plane is None:
        order = np.argsort(-np.diag(covariance), kind="stable")
        plane = (int(order[channels // 2]), int(order[0]))
    pair = tuple(plane) if not isinstance(plane, str) else ()
    if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= c < channels for c in pair):
        raise WorkbenchError(
            f"plane {plane!r}",
            f"a picture shows two different channels of 0 to {channels - 1}",
            f"write (0, 1) or {PRINCIPAL!r}",
        )
    return _Plane(f"channels {pair[0]} and {pair[1]}", np.eye(channels)[:, list(pair)], False)


def _sample(rows: Any, channels: int) -> np.ndarray:
    """At most `MOST_POINTS` rows, evenly chosen, less the mean of all."""
    if rows is None:
        return np.zeros((0, channels))
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.shape[1] != channels or not np.isfinite(rows).all():
        raise WorkbenchError(
            f"rows of shape {rows.shape}",
            f"the covariance is of {channels} channels with finite values",
            f"pass (n, {channels})",
        )
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), MOST_POINTS)).astype(int)
    return rows[chosen] - rows.mean(axis=0, dtype=np.float64) if len(rows) else rows
