"""What an allocation is: a choice a layer, and the recipe of a model that follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from glob import escape
from typing import Any

import numpy as np

from ...errors import WorkbenchError
from ...schemes import Scheme, parse
from ..recipe import Recipe

Table = Mapping[str, Mapping[Any, float]]  # layer -> choice -> cost, or size


@dataclass(frozen=True)
class Allocation:
    """One choice a layer.

    Attributes:
        choices: the choice of each layer, by its name.
        cost: the sum of their costs.
        size: the sum of their sizes, in the unit that these were given in.

    Example:
        >>> sizes = {"a": {"int4": 400, "int8": 800}}
        >>> Allocation.of({"a": "int8"}, {"a": {"int4": 2.0, "int8": 0.1}}, sizes)
        Allocation(choices={'a': 'int8'}, cost=0.1, size=800)
    """

    choices: dict[str, Any]
    cost: float
    size: float

    @classmethod
    def of(cls, choices: Mapping[str, Any], costs: Table, sizes: Table) -> Allocation:
        """The sums of some choices."""
        size = sum((exact(sizes[name][one]) for name, one in choices.items()), Fraction(0))
        cost = math.fsum(costs[name][one] for name, one in choices.items())
        return cls(dict(choices), cost, plain(size))

    def recipe(self, pattern: str = "{}", rest: Any = "float") -> Recipe:
        """The recipe of a model with these choices; see `recipe_of`."""
        return recipe_of(self.choices, pattern, rest)


def exact(figure: float) -> Fraction:
    """A whole or a real number without rounding.

    Example:
        >>> exact(3), exact(0.5)
        (Fraction(3, 1), Fraction(1, 2))
    """
    whole = isinstance(figure, int | np.integer)
    return Fraction(int(figure) if whole else float(figure))


def plain(figure: Fraction) -> float:
    """An int where it is a whole number, else the nearest float.

    Example:
        >>> plain(Fraction(6, 2)), plain(Fraction(1, 2))
        (3, 0.5)
    """
    return int(figure) if figure.denominator == 1 else float(figure)


def recipe_of(choices: Mapping[str, Any], pattern: str = "{}", rest: Any = "float") -> Recipe:
    """The recipe that gives every layer its choice, as overrides by name.

    Args:
        choices: what `pattern` makes a recipe of, by the name of its layer.
        pattern: text of a layer's recipe with {} for its choice.
        rest: recipe of the layers that are not named, which may also set `prefix` and a seed; it
            may have no overrides of its own, or it is a `WorkbenchError`.

    Example:
        >>> str(recipe_of({"layers.0.mlp": 8, "layers.1.mlp": 4}, "w=int{}/g32 gptq"))
        '[layers.0.mlp: w=int8/g32 gptq] [layers.1.mlp: w=int4/g32 gptq]'
    """
    rest = Recipe.of(rest)
    if rest.overrides:
        raise WorkbenchError(
            str(rest), "layers would have two overrides", "name each layer among the choices"
        )
    made = ((escape(name), Recipe.of(pattern.format(one))) for name, one in choices.items())
    return replace(rest, overrides=tuple(made))


def weight_sizes(
    weights: Mapping[str, Any], schemes: Sequence[str | Scheme]
) -> dict[str, dict[str, int]]:
    """The stored bits of every weight under every scheme, scales and zero points counted.

    Args:
        weights: arrays (outputs, features) by name; their shapes count.
        schemes: that each of them may take.

    Returns:
        Whole numbers of bits, by layer and by the text of the scheme as it was given.

    Example:
        >>> weight_sizes({"a": np.ones((2, 64))}, ["int4/g32", "int8/channel"])
        {'a': {'int4/g32': 640, 'int8/channel': 1088}}
    """
    parsed = {str(text): parse(text) for text in schemes}
    return {
        name: {
            text: round(scheme.bits_per_value(np.shape(weight)) * np.size(weight))
            for text, scheme in parsed.items()
        }
        for name, weight in weights.items()
    }
