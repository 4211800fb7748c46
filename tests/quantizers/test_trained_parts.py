"""Options of learned codes, and thin factors that are trained for the outputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workbench.metrics import kl_top
from workbench.quantizers import Calibration, Recipe
from workbench.quantizers.residuals import LearnedLowRank, LowRank, Remainder
from workbench.quantizers.solvers import LearnedCodes, Problem
from workbench.quantizers.solvers.descent import Descent
from workbench.quantizers.solvers.output_loss import OutputLoss
from workbench.schemes import parse


def loss(values, weight, gram):
    gap = values.astype(np.float64) - weight
    return float(((gap @ gram) * gap).sum())


class TestOptions:
    @pytest.mark.parametrize("kind", ["cosine", "kl"])
    def test_losses_have_the_slope_of_differences(self, kind):
        random = np.random.default_rng(0)
        weight, rows = random.standard_normal((5, 6)), random.standard_normal((20, 6))
        goal = OutputLoss.of(kind, weight.astype(np.float32), Calibration.of(rows))
        values = (weight + 0.3 * random.standard_normal((5, 6))).astype(np.float32)
        slope = goal.slope(values)
        for at in [(0, 0), (2, 3), (4, 5)]:
            ends = []
            for side in (-1, 1):
                moved = values.astype(np.float64)
                moved[at] += side * 1e-3
                outputs = goal.rows.astype(np.float64) @ moved.T
                ends.append(self.plainly(kind, outputs, goal.exact))
            assert 2 * slope[at] == pytest.approx((ends[1] - ends[0]) / 2e-3, rel=1e-2, abs=1e-5)
        outputs = goal.rows.astype(np.float64) @ values.T.astype(np.float64)
        assert goal.errors(values).sum() == pytest.approx(self.plainly(kind, outputs, goal.exact))
        assert goal.errors(goal.weight).sum() == pytest.approx(0, abs=1e-12)

    @staticmethod
    def plainly(kind, outputs, exact):
        if kind == "kl":
            return kl_top(exact, outputs)
        sizes = np.linalg.norm(outputs, axis=1) * np.linalg.norm(exact, axis=1)
        return float((1 - (outputs * exact).sum(1) / sizes).mean())

    @pytest.mark.parametrize("loss_", ["mse", "cosine", "kl"])
    @pytest.mark.parametrize("freedom", ["grid", "neighbours"])
    @pytest.mark.parametrize("optimizer", ["adam", "sgd"])
    @pytest.mark.parametrize("scheme", ["int2/channel@mse", "pow2(a=0.7)/channel@mse"])
    def test_every_combination_helps_by_its_own_loss_on_unseen_rows(
        self, loss_, freedom, optimizer, scheme, weight, calibration, held_out
    ):
        problem = Problem(weight * 10, parse(scheme), calibration)
        solver = LearnedCodes(100, power=False, loss=loss_, freedom=freedom, optimizer=optimizer)
        values, plain = solver.solve(problem).values, problem.fitted.round(problem.weight)
        if loss_ == "mse":
            gram = held_out.T.astype(np.float64) @ held_out
            after, before = (loss(one, problem.weight, gram) for one in (values, plain))
        else:
            goal = OutputLoss.of(loss_, problem.weight, Calibration.of(held_out))
            after, before = (goal.errors(one).sum() for one in (values, plain))
        assert after < (0.8 if optimizer == "adam" else 0.97) * before
        low, high = problem.fitted.region(slice(None), slice(None)).neighbours(problem.weight)
        near = np.logical_or(np.isclose(values, low), np.isclose(values, high)).all()
        assert near or freedom == "grid"

    def test_descent_takes_steps_of_its_size_whatever_the_gradients(self):
        gradient = np.random.default_rng(0).standard_normal((3, 500))
        for size in (1e-6, 1.0, 1e6):
            descent, at, steps = Descent(0.05), np.zeros((3, 500)), []
            for _ in range(60):
                before, at = at, descent.moved(at, size * gradient)
                steps.append(np.sqrt(((at - before) ** 2).mean(axis=1)))
            assert np.allclose(np.stack(steps).T, 0.05 * (1 - 0.9 ** np.arange(1, 61)))
            assert (np.sign(at) == -np.sign(gradient)).all()


class TestLearnedLowRank:
    @pytest.mark.parametrize("rank", [1, 6, 16])
    def test_it_comes_to_the_optimum_and_never_below(self, rank, weight, calibration):
        """[75] The optimum of a rank is the tail of the singular values of the weighted error."""
        quantized = parse("int2/channel").round(weight)
        remainder = Remainder(weight, quantized, calibration, lambda x: x)
        values, vectors = np.linalg.eigh(calibration.gram)
        root = vectors * np.sqrt(np.maximum(values, 0))
        error = weight.astype(np.float64) - quantized
        least = float((np.linalg.svd(error @ root, compute_uv=False)[rank:] ** 2).sum())
        found, start = (
            loss(part(rank).fit(remainder).weight(), error, calibration.gram)
            for part in (LearnedLowRank, LowRank)
        )
        assert least * (1 - 1e-9) <= found <= 1.03 * least
        assert found < (0.85 if rank == 1 else 0.7) * start

    def test_its_bytes_are_those_of_two_factors_of_16_bits(self, weight, calibration):
        made = Recipe.parse("w=int2/g32*f16 learned_low_rank(rank=5,steps=3)").apply(
            weight, calibration
        )
        outputs, features = weight.shape
        scales = 16 * outputs * features // 32
        bits = 2 * outputs * features + 16 * 5 * (outputs + features) + scales
        assert made.nbytes == bits // 8

    def test_it_makes_up_for_inputs_that_a_range_cuts_off(self, layer, calibration, held_out):
        """The thin product takes inputs as they are, and does not know of the range if not told."""
        made = Recipe.parse("w=int8/channel a=int8/tensor@percentile(98) static").apply(
            layer, calibration
        )
        told, untold = (
            LearnedLowRank(24).fit(Remainder(layer.weight, made.matrix, calibration, rounded))
            for rounded in (made.rounded, lambda x: x)
        )
        errors = [
            replace(made, corrections=corrections).error(layer, Calibration.of(held_out))
            for corrections in ((told,), (untold,), ())
        ]
        assert errors[0] < 0.9 * errors[1]
        assert errors[0] < 0.9 * errors[2]

    def test_nothing_to_correct_stays_nothing(self, weight, calibration):
        thin = LearnedLowRank(4, steps=5).fit(Remainder(weight, weight, calibration, lambda x: x))
        assert np.abs(thin.weight()).max() == 0

    @pytest.mark.parametrize("rows", [3, 40])
    def test_few_rows_do_not_blow_it_up(self, rows, weight, held_out):
        seen = Calibration.of(held_out[:rows])
        quantized = parse("int2/channel").round(weight)
        thin = LearnedLowRank(8).fit(Remainder(weight, quantized, seen, lambda x: x))
        assert np.isfinite(thin.weight()).all()
        assert np.abs(thin.weight()).max() < 3 * np.abs(weight).max()
