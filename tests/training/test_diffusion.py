"""The small diffusion model: what it learned against the optimum, its samples, and its formats."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from workbench.errors import WorkbenchError
from workbench.models.quantized_linear import QuantizedLinear
from workbench.quantizers import Layer, Recipe
from workbench.reproductions import diffusion as reproduction
from workbench.training import diffusion as small

ANGLES = np.arange(8) * math.pi / 4
CENTRES = 1.5 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


class Best(nn.Module):
    """The mean of the noise given noisy points of equal normal spots, in closed form."""

    def __init__(self, centres, spread):
        super().__init__()
        self.centres, self.spread = torch.tensor(centres, dtype=torch.float64), spread

    def forward(self, x, time):
        left = small.schedule()[1].double()[time].reshape(-1, 1, 1)
        size = left * self.spread**2 + 1 - left
        apart = x.double()[:, None] - left.sqrt() * self.centres
        share = torch.softmax(-((apart**2).sum(-1, keepdim=True)) / (2 * size), dim=1)
        return ((1 - left).sqrt() / size * share * apart).sum(1).float()


@pytest.fixture(scope="module")
def model():
    return small.load()


def test_the_shipped_weights_are_what_training_gives():
    made = small.about()
    assert (made["seed"], made["steps"]) == (0, small.STEPS)
    assert small.SHIPPED.stat().st_size < 160_000
    losses = small.train(until=200)[1]
    assert np.mean(losses) == pytest.approx(made["loss of the first 200 steps"], rel=1e-3)


def test_a_run_depends_on_its_seed_alone(tmp_path):
    before = torch.random.get_rng_state()
    first, second, other = (small.train(until=5, seed=seed)[1] for seed in (0, 0, 1))
    assert first == second != other
    assert torch.equal(torch.random.get_rng_state(), before)
    for name in "ab":
        small.write(tmp_path / name, steps=3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_sampler_turns_the_optimal_noise_into_the_data():
    """Of one normal spot of size 1 the reverse steps are exact."""
    points = small.sample(Best([[0.7, -0.3]], 1.0), 4000)
    np.testing.assert_allclose(points.mean(0), [0.7, -0.3], atol=4 / 4000**0.5)
    np.testing.assert_allclose(np.cov(points.T), np.eye(2), atol=0.08)


def test_the_model_has_learned_the_optimal_noise(model):
    generator = torch.Generator().manual_seed(3)
    x, noise = small.points(8192, generator), torch.randn(8192, 2, generator=generator)
    time = torch.randint(100, (8192,), generator=generator)
    left = small.schedule()[1][time, None]
    noisy = left.sqrt() * x + (1 - left).sqrt() * noise
    best = Best(CENTRES, small.SPREAD)(noisy, time)
    with torch.no_grad():
        found = model(noisy, time)
    least = ((best - noise) ** 2).mean()
    assert ((found - noise) ** 2).mean() < 1.02 * least
    assert ((found - best) ** 2).mean() < 0.01 * (noise**2).mean()


def test_samples_lie_on_all_eight_spots(model):
    points = small.sample(model, 2000, seed=4)
    apart = np.linalg.norm(points[:, None] - CENTRES, axis=-1)
    assert (apart.min(1) < 4 * small.SPREAD).mean() > 0.95
    counts = np.bincount(apart.argmin(1), minlength=8)
    assert counts.min() > 170
    assert counts.max() < 330
    assert np.array_equal(points, small.sample(model, 2000, seed=4))
    assert not np.array_equal(points[:5], small.sample(model, 5, seed=5))


def test_layers_are_listened_to_at_every_time(model):
    found = small.calibrations(model, count=3, by_use=False)
    waves = small.waves(torch.arange(100)).double().mean(0)
    np.testing.assert_allclose(found["first"].mean[2:], waves, atol=1e-5)
    assert {name: one.count for name, one in found.items()} == dict.fromkeys(small.LAYERS, 300)
    assert not any(getattr(model, name)._forward_pre_hooks for name in small.LAYERS)


def test_times_whose_noise_counts_more_give_more_rows(model):
    """In proportion to the square of b / sqrt((1 - kept) (1 - b)), one row at least."""
    rows = small.calibrations(model, count=100)["first"].rows
    added = np.linspace(1e-3, 0.2, 100)
    use = added**2 / (1 - np.cumprod(1 - added)) / (1 - added)
    waves = small.waves(torch.arange(100)).numpy()
    times = np.abs(rows[:, None, 2:] - waves).max(-1).argmin(1)
    expected = np.maximum(np.rint(100 * use / use.max()), 1)
    assert np.array_equal(np.bincount(times, minlength=100), expected)
    assert expected[0] < 0.1 * expected[-1]


def test_a_quantized_copy_leaves_the_model_as_it_is(model):
    before = small.sample(model, 50)
    made = small.quantized(model, {"third": "w=int3/tensor"})
    assert isinstance(made.third, QuantizedLinear)
    assert isinstance(made.first, nn.Linear)
    assert np.array_equal(small.sample(model, 50), before)
    assert not np.allclose(small.sample(made, 50), before, atol=1e-3)
    kept = small.quantized(model, dict.fromkeys(small.LAYERS, "float"))
    np.testing.assert_allclose(small.sample(kept, 50), before, atol=1e-4)
    with pytest.raises(WorkbenchError, match="name one of"):
        small.quantized(model, {"fourth": "w=int8"})


def test_the_sliced_distance_is_that_of_the_best_pairing():
    x, y = np.random.default_rng(0).standard_normal((2, 5, 2))
    angles = np.arange(64) * math.pi / 64
    total = 0.0
    for along in np.stack([np.cos(angles), np.sin(angles)], axis=1):
        pairings = itertools.permutations(y @ along)
        total += min(((x @ along - np.array(pairing)) ** 2).mean() for pairing in pairings)
    assert small.sliced_distance(x, y) == pytest.approx((total / 64) ** 0.5)
    assert small.sliced_distance(x, x[::-1]) == 0


@pytest.fixture(scope="module")
def figures():
    return reproduction.diffusion()


def test_searched_floats_of_eight_bits_keep_the_samples(figures):
    sample = {name: figures[f"sample error, {name}"] for name in (*reproduction.INTEGERS, "fp8")}
    assert sample["fp8"] <= 0.2 * sample["int8"]
    assert sample["fp8"] <= 0.2 * sample["int8, searched ranges"]
    assert sample["fp8"] <= 0.3 * sample["int8, zero points"] < 0.3 * sample["int8"]


def test_they_do_so_with_other_inputs_and_other_noise(model):
    known, exact = small.calibrations(model, seed=3), small.sample(model, 500, 11)
    floats = {name: reproduction.eight_bits(model, name, rows) for name, rows in known.items()}
    integers = reproduction.integers()["int8"]
    wrong = [
        ((small.sample(small.quantized(model, recipes, known), 500, 11) - exact) ** 2).mean()
        for recipes in (floats, integers)
    ]
    assert wrong[0] <= 0.2 * wrong[1]


def test_floats_and_learned_rounding_of_four_bits(figures):
    def of(name: str) -> list[float]:
        kinds = ("mean error of layers", "sample error", "sliced distance")
        return [figures[f"{kind}, {name}"] for kind in kinds]

    integers, floats = of("int4"), of("fp4")
    learned, learned_integers = of("fp4, learned rounding"), of("int4, learned rounding")
    assert floats[0] <= 0.6 * integers[0]
    assert learned[0] <= 0.5 * floats[0]
    assert all(after < 0.6 * before for after, before in zip(learned, floats, strict=True))
    # samples follow layers only so far: half the error of layers is not half that of samples
    assert floats[1] > 0.6 * integers[1]
    assert learned_integers[0] < 0.5 * integers[0]


def test_learned_values_are_on_the_grid_of_the_float(model):
    known = small.calibrations(model, count=32)
    for name, rows in known.items():
        recipe = Recipe.parse("w=e2m1/tensor@mse adaround")
        made = recipe.apply(Layer.of(getattr(model, name)), rows)
        units = np.abs(made.matrix) / made.weight.scales[0, 0]
        assert np.abs(units[..., None] - [0, 0.5, 1, 1.5, 2, 3, 4, 6]).min(-1).max() < 1e-5
