"""Recipes tried on one layer: as it is, with the brushed channels kept, behind each transform."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..metrics.qsur import qsur
from ..quantizers import Recipe
from ..quantizers.calibration import Calibration
from ..quantizers.layer import QuantizedLayer
from ..schemes.report import decibels
from ..views.qsur_path import QsurPath
from ..views.what_helps import Variant
from .opened_model import RUNNING, Opened

AS_IT_IS = "as it is"
TRANSFORMS = {
    "none": "",
    "smooth": "smooth",
    "hadamard": "hadamard",
    "smooth, hadamard": "smooth hadamard",
    "orthogonal": "orthogonal",
}
NAMES = {
    "smooth": "smoothing",
    "hadamard": "Hadamard rotation",
    "smooth, hadamard": "smoothing and rotation",
    "orthogonal": "random rotation",
}
MOST_TURNED = 320  # channels up to which a rotation is shown on its way
STEPS = 11


@dataclass(frozen=True, eq=False)
class Tried:
    """A recipe on a layer: the layer it makes, and what its inputs have become."""

    layer: QuantizedLayer
    calibration: Calibration
    weight: np.ndarray
    sqnr: float


def labels(channels: tuple[int, ...]) -> list[str]:
    """What is tried, in the order shown; brushed channels are a line of their own."""
    kept = [_kept(channels)] if channels else []
    return [AS_IT_IS, *kept, *list(TRANSFORMS)[1:]]


def _kept(channels: tuple[int, ...]) -> str:
    named = ", ".join(map(str, channels[:3])) + (", …" if len(channels) > 3 else "")
    return f"channel{'s' if len(channels) > 1 else ''} {named} in 16 bits"


def recipe_of(label: str, base: str, channels: tuple[int, ...]) -> str:
    """The text of the recipe that a label stands for.

    Example:
        >>> recipe_of("hadamard", "w=int4/g32", ())
        'hadamard w=int4/g32'
    """
    recipe = Recipe.parse(base)
    if channels and label == _kept(channels):
        kept = f"kept_columns({'+'.join(map(str, channels))})"
        return str(Recipe.parse(f"{recipe} {kept}"))
    transforms = TRANSFORMS["none" if label == AS_IT_IS else label]
    return str(Recipe.parse(f"{transforms} {recipe}"))


@lru_cache(maxsize=24)
def tried(opened: Opened, layer: str, text: str) -> Tried:
    """A recipe on a layer of an opened model; one that cannot be is a `WorkbenchError`."""
    recipe, whole, known = Recipe.parse(text), opened.layer(layer), opened.calibration(layer)
    rewritten = recipe.rewrite([whole], known)
    made = recipe.solve(rewritten.layers[0], rewritten.calibration, rewritten.rewrite)
    error = made.error(whole, known)
    after = rewritten.calibration or known
    return Tried(made, after, rewritten.layers[0].weight, decibels(1.0, error))


@lru_cache(maxsize=512)
def measured(opened: Opened, layer: str, label: str, text: str) -> Variant:
    """The figures of a recipe on a layer, without the model's loss."""
    try:
        one = tried(opened, layer, text)
    except WorkbenchError as refusal:
        return Variant(label, text, np.nan, np.nan, refused=str(refusal))
    return Variant(label, text, one.sqnr, one.layer.bits_per_weight, _filled(one.calibration))


@lru_cache(maxsize=512)
def cost(opened: Opened, layer: str, text: str) -> tuple[float, float, float]:
    """What the model loses with this layer alone quantized so, and the ends of its interval."""
    with RUNNING:
        found = opened.damage.of({layer: tried(opened, layer, text).layer})
    return found.value, found.low, found.high


def covariance(known: Calibration) -> np.ndarray:
    """The covariance of a layer's inputs, float64 (channels, channels); it has a volume."""
    if known.count <= known.features:
        raise WorkbenchError(
            f"{known.count:,} tokens for {known.features:,} channels",
            "they span no volume of the space, so none of it can be filled",
            "look at a narrower layer",
        )
    found = known.gram - np.outer(known.mean, known.mean)
    rank = int(np.linalg.matrix_rank(found, hermitian=True))
    if rank < known.features:
        raise WorkbenchError(
            f"inputs that span {rank:,} of {known.features:,} dimensions",
            "they have no volume, so none of the quantizer's range is filled",
            "look at a layer deeper in the model",
        )
    return found


def _filled(known: Calibration) -> float | None:
    """The share of its range that a channel fills; None where there is no volume."""
    try:
        return float(qsur(covariance(known)).per_channel)
    except WorkbenchError:
        return None


@lru_cache(maxsize=32)
def path(opened: Opened, layer: str, transform: str, text: str) -> QsurPath:
    """The way of a layer's inputs through a transform; with none, through the best there is.

    Inputs without a volume raise `WorkbenchError`.
    """
    known = opened.calibration(layer)
    before, wide = covariance(known), known.features > MOST_TURNED
    if transform == "none":
        return QsurPath.of(before, "whitening", rows=known.rows, steps=2 if wide else STEPS)
    matrix = _matrix(tried(opened, layer, text).layer.rewrite, known.features)
    steps = STEPS if matrix.ndim == 1 or (_turns(matrix) and not wide) else 2
    return QsurPath.of(before, matrix, rows=known.rows, steps=steps, name=NAMES[transform])


def _matrix(rewrite: Any, features: int) -> np.ndarray:
    """A rewrite as factors (channels,) or as a matrix; a reflection of one channel is undone."""
    eye = np.eye(features, dtype=np.float32)
    matrix = rewrite.inputs(eye).astype(np.float64) - rewrite.inputs(0 * eye[:1])
    if not np.count_nonzero(matrix - np.diag(np.diag(matrix))):
        return np.diag(matrix)
    if _turns(matrix):
        matrix = matrix @ (3 * np.eye(features) - matrix.T @ matrix) / 2  # to float64
    if np.linalg.slogdet(matrix)[0] < 0:
        matrix[:, 0] *= -1  # which changes no variance and no range
    return matrix


def _turns(matrix: np.ndarray) -> bool:
    """Whether a matrix is a rotation."""
    return np.allclose(matrix.T @ matrix, np.eye(len(matrix)), rtol=0, atol=1e-6)
