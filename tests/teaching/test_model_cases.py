"""The truths of the exercises on tensors are those of the workbench; arrays compared and drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench import metrics, schemes
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.quantizers.transforms import Smooth
from workbench.quantizers.transforms.base import Reading
from workbench.teaching import EXERCISES
from workbench.teaching.array_checks import TOLERANCE, array_text, near
from workbench.teaching.matrices import Matrix, matrices
from workbench.teaching.model_cases import by_cause


def test_the_mixed_product_is_that_of_the_recipe():
    recipe = "w=int8/channel a=int8/token outlier_columns(threshold={})"
    for case in EXERCISES["llm-int8"].cases():
        x, w, threshold = case.inputs
        made = Recipe.parse(recipe.format(threshold)).apply(Layer.of(w))
        size = np.abs(case.expected).max()
        assert np.abs(made(np.float32(x)) - case.expected).max() <= 2**-10 * size


def test_the_causes_are_those_of_the_metrics():
    x = np.abs(np.random.default_rng(0).standard_normal((64, 32))) * np.linspace(0.01, 2, 32)
    for text in ("int4/tensor@percentile(90)", "int8/tensor@percentile(99)", "int4/tensor"):
        scheme = schemes.parse(text)
        scale = float(scheme.fit(x).scales.max())
        report = metrics.error(x, text)
        found = by_cause(x, scheme.round(x), (2 ** (scheme.format.bits - 1) - 0.5) * scale)
        expected = [report.causes[name] for name in ("rounding", "clipping", "underflow")]
        assert found == pytest.approx(expected, rel=1e-5)
        assert sum(found) == pytest.approx(report.mse, rel=1e-5)


def test_the_smoothing_factors_are_those_of_the_transform():
    for case in EXERCISES["smoothing-factors"].cases():
        x, w, alpha = case.inputs
        step = Smooth(alpha).fit(Reading(np.float32(w), Calibration.of(np.float32(x))))
        assert step.factors == pytest.approx(case.expected, rel=1e-6)


def test_rotated_weights_keep_the_product():
    x = np.random.default_rng(1).standard_normal((5, 16))
    for case in EXERCISES["rotated-weight"].cases():
        w, q = case.inputs
        part = x[:, : len(q)]
        assert q @ q.T == pytest.approx(np.eye(len(q)))
        assert (part @ q) @ case.expected.T == pytest.approx(part @ w.T)


def test_the_flushed_share_is_told_by_counting():
    for case in EXERCISES["flushed-share"].cases():
        (x,) = case.inputs
        half = np.abs(x).max() / 254
        counted = np.count_nonzero((x != 0) & (np.abs(x) <= half * (1 + 1e-9)))
        assert case.expected == pytest.approx(counted / x.size)


def test_answers_agree_to_one_part_of_the_largest():
    assert near([1.0, 100.0], [1.0 + 50 * TOLERANCE, 100.0]).all()
    assert not near([1.0, 100.0], [1.0 + 200 * TOLERANCE, 100.0]).all()
    assert near(math.inf, math.inf)
    assert not near(math.inf, 300.0)
    assert not near(1.0, math.nan)
    assert near(0.0, 0.0)
    assert not near(0.0, 1e-12)


def test_a_large_matrix_is_drawn_around_what_is_framed():
    picture = matrices([Matrix("x", np.arange(600.0).reshape(20, 30), {"yours": (15, 22)})])
    assert "20 by 30, 6 by 8 of it shown" in picture
    assert ">472<" in picture
    assert ">0<" not in picture
    assert picture.count("stroke-dasharray") == 1


def test_what_is_no_number_is_drawn_as_a_word():
    picture = matrices([Matrix("x", np.array([np.nan, np.inf, -np.inf, -2.0]))])
    for text in ("NaN", "∞", "−∞", "−2"):
        assert f">{text}<" in picture


def test_small_arrays_are_written_out():
    assert array_text(np.array([[1.0, -2.5], [0.0, 3.0]])) == "[[1, -2.5], [0, 3]]"
    assert array_text(np.array([1.0, 2.0])) == "[1, 2]"
    assert array_text(6.0) == "6"
