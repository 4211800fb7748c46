"""Reproductions of statistics of data and predictions: each returns its figures by name."""

from __future__ import annotations

import math

import numpy as np

from .. import metrics

Figures = dict[str, float]


def utilisation() -> Figures:
    """[32] QSUR of a long ellipse and of 64 channels, the transforms that reach its limits, KL-Top.

    Example:
        >>> round(utilisation()["diag(4, 1), rotated"], 6) == round(math.pi / 5, 6)
        True
    """
    return {**_long_ellipse(), **_many_channels(), **_likely_tokens()}


def _long_ellipse() -> Figures:
    """Two channels, exact and as published, and points thrown into the square."""
    long = np.diag([4.0, 1.0])
    stages = {
        "as it is": long,
        "rotated": metrics.transformed(long, metrics.spreading_rotation(long)),
        "whitened": metrics.transformed(long, metrics.whitening(long)),
    }
    figures: Figures = {}
    for name, covariance in stages.items():
        figures[f"diag(4, 1), {name}"] = metrics.qsur(covariance).ratio
        figures[f"diag(4, 1), {name}, published"] = metrics.published_qsur(covariance).ratio
    points = np.random.default_rng(0).uniform(-2, 2, (1_000_000, 2))
    inside = (points**2 / np.diag(long)).sum(axis=1) <= 1
    tilted = np.eye(2) + 1e-6 * np.ones((2, 2))
    return figures | {
        "diag(4, 1), share of points inside": float(inside.mean()),
        "whitened with the longest axis diagonal, published": metrics.published_qsur(tilted).ratio,
    }


def _many_channels() -> Figures:
    """How near the two constructions come to their limits, and the best of random rotations."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((64, 64)))[0]
    covariance = (axes * np.exp(rng.uniform(-2.3, 2.3, 64))) @ axes.T
    limit, most = metrics.best_by_rotation(covariance), metrics.best_by_both(64)
    turned = metrics.qsur_after(covariance, metrics.spreading_rotation(covariance))
    white = metrics.qsur_after(covariance, metrics.whitening(covariance))
    random = max(
        (metrics.qsur_after(covariance, np.linalg.qr(rng.standard_normal((64, 64)))[0])
         for _ in range(50)),
        key=lambda found: found.ln,
    )  # fmt: skip
    return {
        "64 channels, log2 of ball over cube": most.log2,
        "64 channels, bits a channel lost as they are": metrics.qsur(covariance).bits_under(most),
        "64 channels, bits a channel lost rotated": turned.bits_under(most),
        "64 channels, bits a channel lost by the best of 50 rotations": random.bits_under(most),
        "64 channels, rotated against the limit": math.exp(turned.ln - limit.ln) - 1,
        "64 channels, whitened against the limit": math.exp(white.ln - most.ln) - 1,
    }


def _likely_tokens() -> Figures:
    """The divergence over 1000 likely tokens and over all, with noise on unlikely ones."""
    rng = np.random.default_rng(0)
    teacher = rng.standard_normal((16, 32_000))
    lowest = np.argsort(teacher, axis=-1)[:, :20_000]
    noisy = np.take_along_axis(teacher, lowest, -1) + rng.standard_normal(lowest.shape)
    student = teacher.copy()
    np.put_along_axis(student, lowest, noisy, -1)
    whole = metrics.kl_top(teacher, student)
    return {
        "noise on unlikely tokens, KL over 1000": metrics.kl_top(teacher, student, k=1000),
        "noise on unlikely tokens, KL over all": whole,
        "KL-Top over the vocabulary less KL": metrics.kl_top(teacher, student, k=32_000) - whole,
    }


def nuclear_norms() -> Figures:
    """[139] The matrix nuclear norm beside the exact one: along axes, turned, in all directions.

    Example:
        >>> figures = nuclear_norms()
        >>> round(figures["four axes, published over exact"], 6)
        1.0
    """
    rng = np.random.default_rng(0)
    half = np.zeros((256, 64))
    half[np.arange(256), np.repeat(np.arange(4), 64)] = rng.uniform(0.5, 2, 256)
    axes = np.concatenate([half, -half])
    turned = axes @ np.linalg.qr(rng.standard_normal((64, 64)))[0]
    cases = {
        "four axes": axes, "four directions": turned,
        "all directions": rng.standard_normal((512, 64)),
    }  # fmt: skip
    figures: Figures = {}
    for name, x in cases.items():
        found = metrics.spectrum(x)
        figures[f"{name}, published"] = found.matrix_nuclear_norm
        figures[f"{name}, exact"] = found.nuclear_norm
        figures[f"{name}, published over exact"] = found.ratio
        figures[f"{name}, effective rank"] = found.effective_rank
    square = rng.standard_normal((512, 512))
    return figures | {
        "square Gaussian, column norms over nuclear norm": float(
            np.linalg.norm(square, axis=0).sum() / metrics.nuclear_norm(square)
        )
    }
