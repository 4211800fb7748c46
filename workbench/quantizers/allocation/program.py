"""Choices of least cost under a total size, exactly: an integer program.

Source: Hubara et al., 2020 ("Improving post training neural quantization: layer-wise calibration
and integer programming"): one indicator a layer and precision, losses that add up, one budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ...errors import WorkbenchError
from .base import Allocation, Table, exact, plain

LARGEST = 1e4  # of the coefficients of sizes, since the solver's tolerances are absolute
FINEST = 1e6  # of those of costs, since its gap is absolute too


class _Option(NamedTuple):
    """One choice of one layer."""

    choice: Any
    cost: float
    size: Fraction


def allocate(costs: Table, sizes: Table, budget: float) -> Allocation:
    """One choice a layer with the least sum of costs among those whose sizes fit the budget.

    Sizes are added up exactly, so the budget holds to the bit. Of two choices of a layer that cost
    the same the smaller is taken, and the same tables always give the same choices.

    Args:
        costs: a finite figure for each choice of each layer; it may be negative.
        sizes: of the same choices, finite and not negative, such as whole numbers of bits.
        budget: what the sizes may add up to.

    A budget under the sum of the least sizes, tables that do not match, and figures that cannot be
    added up raise `WorkbenchError`.

    Example:
        >>> costs = {"a": {"4": 9.0, "8": 1.0}, "b": {"4": 5.0, "8": 1.0}}
        >>> sizes = {"a": {"4": 40, "8": 80}, "b": {"4": 40, "8": 80}}
        >>> allocate(costs, sizes, 120)
        Allocation(choices={'a': '8', 'b': '4'}, cost=6.0, size=120)
    """
    _check(costs, sizes)
    layers = [_worth_it(costs[name], sizes[name]) for name in costs]
    least = sum((options[0].size for options in layers), Fraction(0))
    if not least <= budget < math.inf:
        raise WorkbenchError(
            f"a budget of {budget}", f"even the smallest choices take {plain(least)}",
            f"allow {plain(least)} or more",
        )  # fmt: skip
    chosen = _solved(layers, *_in_units(layers, exact(budget) - least))
    return Allocation.of(dict(zip(costs, chosen, strict=True)), costs, sizes)


def _check(costs: Table, sizes: Table) -> None:
    """Refuse tables that do not match, and figures that cannot be added up."""
    if not costs or set(costs) != set(sizes):
        raise WorkbenchError(
            f"tables of {len(costs)} and {len(sizes)} layers",
            "each layer has costs and sizes, and there is one at least",
            "give the same layers in both tables",
        )
    for name, each in costs.items():
        if not each or set(each) != set(sizes[name]):
            raise WorkbenchError(
                f"{name}: {len(each)} costs and {len(sizes[name])} sizes",
                "every choice has one of each", "give the same choices in both tables",
            )  # fmt: skip
        for choice, cost in each.items():
            size = sizes[name][choice]
            if not (math.isfinite(cost) and 0 <= size < math.inf):
                raise WorkbenchError(
                    f"{name}: a cost of {cost} and a size of {size} for {choice}",
                    "they are finite, and no size is below 0", "leave that choice out",
                )  # fmt: skip


def _worth_it(costs: Mapping[Any, float], sizes: Mapping[Any, float]) -> list[_Option]:
    """The choices of a layer from small to large, each cheaper than all that are smaller."""
    every = [_Option(one, float(costs[one]), exact(sizes[one])) for one in costs]
    kept: list[_Option] = []
    for option in sorted(every, key=lambda one: (one.size, one.cost)):
        if not kept or option.cost < kept[-1].cost:
            kept.append(option)
    return kept


def _in_units(layers: list[list[_Option]], room: Fraction) -> tuple[list[int], int]:
    """What each option takes beyond the smallest of its layer, and the room for that.

    Both are whole multiples of the largest unit that all options are made of, the room rounded
    down to one.
    """
    beyond = [one.size - options[0].size for options in layers for one in options]
    parts = math.lcm(*(each.denominator for each in beyond))
    unit = Fraction(math.gcd(*(int(each * parts) for each in beyond)) or 1, parts)
    return [int(each / unit) for each in beyond], math.floor(room / unit)


def _solved(layers: list[list[_Option]], units: list[int], room: int) -> list[Any]:
    """The choice of each layer.

    The solver lets a sum exceed its limit by a tolerance. Where that lets in what does not fit, a
    row is added that forbids as much or more in all of those layers at once, and it solves again.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    options = list(chain.from_iterable(layers))
    layer = np.repeat(np.arange(len(layers)), [len(each) for each in layers])
    cost = np.array([one.cost - each[-1].cost for each in layers for one in each])
    cost *= FINEST / (cost.max() or 1.0)
    scale = max(1.0, max(units) / LARGEST)
    one_each = csr_array((np.ones(len(options)), (layer, np.arange(len(options)))))
    rows = [LinearConstraint(one_each, 1, 1),
            LinearConstraint([[unit / scale for unit in units]], ub=room / scale)]  # fmt: skip
    while True:
        found = milp(cost, integrality=1, bounds=Bounds(0, 1), constraints=rows,
                     options={"mip_rel_gap": 0.0})  # fmt: skip
        assert found.x is not None, found.message
        chosen = np.flatnonzero(found.x > 0.5).tolist()
        if sum(units[at] for at in chosen) <= room:
            return [options[at].choice for at in chosen]
        taken = {layer[at]: units[at] for at in chosen if units[at]}
        cover = [float(unit >= taken.get(one, math.inf))
                 for one, unit in zip(layer, units, strict=True)]  # fmt: skip
        rows.append(LinearConstraint([cover], ub=len(taken) - 1))
