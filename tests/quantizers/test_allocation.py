"""Choices under a budget against every possible choice, groups of widths, and their recipes."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.quantizers import Recipe
from workbench.quantizers.allocation import (
    Allocation,
    allocate,
    clustered,
    importance,
    importance_costs,
    recipe_of,
    weight_sizes,
)
from workbench.quantizers.allocation.clusters import best_groups

CHOICES = ("2", "4", "8")


def random_tables(seed, layers=6, choices=CHOICES):
    """Costs that fall with the width for most choices, and whole sizes without a common unit."""
    random = np.random.default_rng(seed)
    names = [f"layers.{i}" for i in range(layers)]
    costs = {n: dict(zip(choices, random.lognormal(0, 2, len(choices)), strict=True))
             for n in names}  # fmt: skip
    sizes = {
        n: {c: int(s) for c, s in zip(choices, random.integers(1, 1000, len(choices)), strict=True)}
        for n in names
    }
    return costs, sizes


def least_cost(costs, sizes, budget):
    """The least sum of costs of every possible choice that fits, or None."""
    names = list(costs)
    sums = [
        math.fsum(costs[n][c] for n, c in zip(names, chosen, strict=True))
        for chosen in itertools.product(*(costs[n] for n in names))
        if sum(Fraction(sizes[n][c]) for n, c in zip(names, chosen, strict=True)) <= budget
    ]
    return min(sums, default=None)


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_best_of_all_choices(seed):
    costs, sizes = random_tables(seed)
    least = sum(min(each.values()) for each in sizes.values())
    most = sum(max(each.values()) for each in sizes.values())
    budget = int(least + (0.1 + 0.8 * (seed % 5) / 4) * (most - least))
    found = allocate(costs, sizes, budget)
    assert found.cost == pytest.approx(least_cost(costs, sizes, budget), rel=1e-12)
    assert found.size <= budget
    assert found == Allocation.of(found.choices, costs, sizes)
    assert allocate(costs, sizes, budget) == found


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.floats(-1e3, 1e3, allow_subnormal=False), st.integers(0, 50) | st.floats(0, 50)
            ),
            min_size=1, max_size=3,
        ),
        min_size=1, max_size=4,
    ),
    st.floats(0, 150),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_any_tables_give_the_best_choice_or_a_refusal(layers, budget):
    costs = {str(i): {j: one[0] for j, one in enumerate(each)} for i, each in enumerate(layers)}
    sizes = {str(i): {j: one[1] for j, one in enumerate(each)} for i, each in enumerate(layers)}
    best = least_cost(costs, sizes, budget)
    if best is None:
        with pytest.raises(WorkbenchError, match="even the smallest choices take"):
            allocate(costs, sizes, budget)
        return
    found = allocate(costs, sizes, budget)
    assert found.cost == pytest.approx(best, rel=1e-9, abs=1e-8)
    total = sum(Fraction(sizes[n][c]) for n, c in found.choices.items())
    assert total <= Fraction(budget)


@pytest.mark.parametrize("unit", [10**9, 10**12, 10**15])
def test_a_single_bit_too_much_is_too_much(unit):
    """The solver's own tolerances would let it pass."""
    names = [f"l{i}" for i in range(4)]
    costs = {name: {"narrow": 1.0 + i, "wide": 0.0} for i, name in enumerate(names)}
    sizes = {name: {"narrow": unit, "wide": 2 * unit + i} for i, name in enumerate(names)}
    every = sum(each["wide"] for each in sizes.values())
    assert set(allocate(costs, sizes, every).choices.values()) == {"wide"}
    found = allocate(costs, sizes, every - 1)
    assert found.choices == {"l0": "narrow", "l1": "wide", "l2": "wide", "l3": "wide"}
    with pytest.raises(WorkbenchError, match=f"allow {4 * unit} or more"):
        allocate(costs, sizes, 4 * unit - 1)
    assert allocate(costs, sizes, 4 * unit).size == 4 * unit


def test_small_differences_of_cost_count():
    costs = {str(i): {"narrow": 1 + 1e-9 * i, "wide": 0.0} for i in range(5)}
    sizes = {str(i): {"narrow": 1, "wide": 2} for i in range(5)}
    found = allocate(costs, sizes, 7)
    assert [name for name, one in found.choices.items() if one == "wide"] == ["3", "4"]


def test_no_bit_is_spent_for_nothing():
    costs = {"a": {"4": 1.0, "8": 1.0, "16": 1.0}, "b": {"4": 2.0, "8": 0.5, "16": 0.5}}
    sizes = {"a": {"4": 4, "8": 8, "16": 16}, "b": {"4": 4, "8": 8, "16": 16}}
    assert allocate(costs, sizes, 1000).choices == {"a": "4", "b": "8"}


def test_two_hundred_layers_of_six_choices():
    """Against the recursion over every budget."""
    costs, sizes = random_tables(0, 200, tuple("234568"))
    budget = sum(sum(each.values()) // 6 for each in sizes.values())
    best = np.zeros(budget + 1)
    for name in costs:
        after = np.full(budget + 1, np.inf)
        for choice, size in sizes[name].items():
            after[size:] = np.minimum(after[size:], best[: budget + 1 - size] + costs[name][choice])
        best = after
    assert allocate(costs, sizes, budget).cost == pytest.approx(best[-1], rel=1e-12)


@pytest.mark.parametrize(
    ("costs", "sizes", "budget", "why"),
    [
        ({}, {}, 1, "there is one at least"),
        ({"a": {"4": 1.0}}, {"b": {"4": 1}}, 1, "give the same layers in both tables"),
        ({"a": {}}, {"a": {}}, 1, "every choice has one of each"),
        ({"a": {"4": 1.0}}, {"a": {"8": 1}}, 1, "give the same choices in both tables"),
        ({"a": {"4": math.nan}}, {"a": {"4": 1}}, 1, "a cost of nan and a size of 1 for 4"),
        ({"a": {"4": 1.0}}, {"a": {"4": -1}}, 1, "no size is below 0"),
        ({"a": {"4": 1.0}}, {"a": {"4": math.inf}}, 1, "they are finite"),
        ({"a": {"4": 1.0}}, {"a": {"4": 5}}, 4, "a budget of 4 → even the smallest choices take 5"),
        ({"a": {"4": 1.0}}, {"a": {"4": 5}}, math.nan, "a budget of nan"),
        ({"a": {"4": 1.0}}, {"a": {"4": 5}}, math.inf, "a budget of inf"),
    ],
)
def test_what_cannot_be_allocated_is_said(costs, sizes, budget, why):
    with pytest.raises(WorkbenchError, match=why) as refusal:
        allocate(costs, sizes, budget)
    assert str(refusal.value).count("→") == 2


def test_groups_are_those_of_least_spread():
    random = np.random.default_rng(0)
    for count in (2, 3, 4):
        values = np.sort(random.lognormal(0, 1, 24))
        found = clustered({str(i): v for i, v in enumerate(values)}, list(range(count)))
        groups = np.array(list(found.values()))
        assert (np.diff(groups) >= 0).all()

        def spread(cuts, values=values):
            return sum(((part - part.mean()) ** 2).sum() for part in np.split(values, cuts))

        best = min(map(spread, itertools.combinations(range(1, 24), count - 1)))
        assert spread(np.flatnonzero(np.diff(groups)) + 1) == pytest.approx(best)


def test_a_single_sensitive_layer_is_a_group_of_its_own():
    figures = {str(i): 0.5 for i in range(200)} | {"worst": 0.9}
    found = clustered(figures, (4, 16))
    assert [name for name, width in found.items() if width == 16] == ["worst"]


def test_the_groups_are_never_worse_than_those_of_another_library():
    vq = pytest.importorskip("scipy.cluster.vq")
    values = np.sort(np.random.default_rng(1).lognormal(0, 1, 40))
    groups = best_groups(values, np.ones(40), 3)

    def spread(labels):
        parts = (values[labels == label] for label in range(3))
        return sum(((part - part.mean()) ** 2).sum() for part in parts)

    others = [
        spread(vq.kmeans2(values[:, None], 3, iter=50, minit="++", seed=seed)[1])
        for seed in range(20)
    ]
    assert spread(groups) <= min(others) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("figures", "widths", "why"),
    [
        ({"a": 0.5, "b": 0.5}, (4, 8), "2 widths for 1 different sensitivities"),
        ({"a": 0.5}, (), "0 widths for 1 different"),
        ({}, (4,), "no layers"),
        ({"a": 0.5, "b": math.nan}, (4,), "b: nan"),
    ],
)
def test_groups_that_cannot_be_are_refused(figures, widths, why):
    with pytest.raises(WorkbenchError, match=why):
        clustered(figures, widths)


def test_importance_is_gradient_times_weight():
    random = np.random.default_rng(0)
    w, g = (random.standard_normal((4, 64)).astype(np.float32) for _ in range(2))
    assert importance(w, g) == pytest.approx(np.abs(w.astype(np.float64) * g).sum())
    costs = importance_costs({"a": w, "b": w}, {"a": g, "b": 3 * g}, ["int4/g32", "int2/g32"])
    gap = Recipe.parse("w=int2/g32").apply(w).matrix - w
    relative = (gap**2).sum() / (w**2).sum()
    assert costs["a"]["int2/g32"] == pytest.approx(importance(w, g) * relative, rel=1e-5)
    assert costs["b"]["int4/g32"] == pytest.approx(3 * costs["a"]["int4/g32"])
    with pytest.raises(WorkbenchError, match=r"a gradient of \(64, 4\)"):
        importance(w, g.T)


def test_sizes_are_the_stored_bits():
    schemes = ["int4/g32+zp", "int8/channel", "mxfp4", "e4m3fn", "nvfp4"]
    w = np.random.default_rng(0).standard_normal((8, 96)).astype(np.float32)
    sizes = weight_sizes({"a": w}, schemes)["a"]
    for scheme in schemes:
        assert sizes[scheme] == 8 * Recipe(weights=scheme).apply(w).nbytes
        assert isinstance(sizes[scheme], int)


def test_the_recipe_gives_every_layer_its_choice():
    choices = {"layers.0.q": 8, "layers.10.q": 2, "odd[1].q": 4}
    recipe = recipe_of(choices, "w=int{}/channel gptq", rest="w=int4/channel prefix seed=3")
    for name, bits in choices.items():
        assert recipe.for_layer(name) == Recipe.parse(f"w=int{bits}/channel gptq seed=3")
    assert recipe.for_layer("layers.1.q") == Recipe.parse("w=int4/channel seed=3")
    assert recipe.for_layer("odd1.q").weights == "int4/channel"
    assert recipe.prefix
    assert Recipe.from_json(recipe.json()) == recipe
    assert recipe_of({"a": "w=int4/g32"}).for_layer("b") == Recipe()
    whole = allocate({"a": {"int4": 2.0, "int8": 1.0}}, {"a": {"int4": 4, "int8": 8}}, 4)
    assert whole.recipe("w={}/channel").for_layer("a").weights == "int4/channel"


def test_a_recipe_that_cannot_be_is_refused():
    with pytest.raises(WorkbenchError, match="two overrides"):
        recipe_of({"a": 4}, "w=int{}", rest="w=int4 [b: float]")
    with pytest.raises(WorkbenchError, match="of single layers"):
        recipe_of({"a": 4}, "w=int{} prefix")
    with pytest.raises(WorkbenchError, match="int99"):
        recipe_of({"a": 99}, "w=int{}")
