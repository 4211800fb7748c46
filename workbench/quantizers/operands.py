"""What a recipe makes of the operands of a model's layers: their widths, for costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial, reduce
from operator import add

from ..costs import Added, Operands
from ..schemes import parse as parse_scheme
from .recipe import Recipe


def operands_of(recipe: Recipe | str, plain: str = "bf16") -> Callable[[str], Operands]:
    """The operands of a layer by its name, under a recipe.

    Bytes are those that the layer would store once it is quantized, known beforehand; the exponents
    of columns that a search may leave out are counted. Rewrites that neighbours take over cost
    nothing, and a rotation that they do not is not in a roofline yet.

    Args:
        recipe: for a whole model; its overrides count.
        plain: the format of what it leaves alone.

    Example:
        >>> of = operands_of("w=int4/g128 low_rank(8) [*down_proj: w=int8/channel]")
        >>> of("layers.0.mlp.up_proj").weights, of("layers.0.mlp.down_proj").weights
        ('int4/g128', 'int8/channel')
        >>> of("layers.0.mlp.up_proj").stored((512, 256)) - 512 * 256 * 4.25 / 8
        12288.0
    """
    whole = Recipe.of(recipe)

    @cache
    def of(name: str) -> Operands:
        mine = whole.for_layer(name)
        scheme = parse_scheme(mine.weights) if mine.weights else None
        stored = partial(mine.solver.stored, scheme) if scheme else None
        return Operands(
            mine.weights, mine.activations, mine.cache, plain, partial(_added, mine), stored,
            bool(scheme) and mine.solver.lookup,
        )  # fmt: skip

    return of


def _added(recipe: Recipe, outputs: int, features: int) -> Added:
    """What all residuals of a recipe store and compute."""
    return reduce(add, (one.added(outputs, features) for one in recipe.residuals), Added())
