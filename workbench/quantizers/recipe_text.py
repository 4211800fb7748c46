"""A recipe as a compact text in the order of the pipeline: transforms, codes, inputs, the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import WorkbenchError
from .parts import part

if TYPE_CHECKING:
    from .recipe import Recipe

SCHEMES = {"w": "weights", "a": "activations", "kv": "cache"}
WORDS = ("static", "prefix")
FLOAT = "float"


def write(recipe: Recipe) -> str:
    """The canonical text of a recipe.

    Example:
        >>> from workbench.quantizers import Recipe
        >>> write(Recipe.parse("a=int8 static smooth w=int8/channel [*.down_proj: float]"))
        'smooth w=int8/channel a=int8/tensor static [*.down_proj: float]'
    """
    words = [str(transform) for transform in recipe.transforms]
    if recipe.weights:
        words.append(f"w={recipe.weights}")
    if str(recipe.solver) != "nearest":
        words.append(str(recipe.solver))
    if recipe.activations:
        words.append(f"a={recipe.activations}")
    words += [word for word in WORDS[:1] if recipe.static]
    if recipe.cache:
        words.append(f"kv={recipe.cache}")
    words += [str(one) for one in (*recipe.residuals, *recipe.tunings)]
    words += [word for word in WORDS[1:] if recipe.prefix]
    if recipe.seed:
        words.append(f"seed={recipe.seed}")
    words += [f"[{pattern}: {override}]" for pattern, override in recipe.overrides]
    return " ".join(word.replace(", ", ",") if word[0] != "[" else word for word in words) or FLOAT


def read(text: str) -> dict[str, Any]:
    """The arguments of a recipe from its text; what cannot be read raises `WorkbenchError`."""
    found: dict[str, Any] = {"transforms": [], "residuals": [], "tunings": [], "overrides": []}
    for word in _words(text):
        _take(word, found)
    return found


def _take(word: str, found: dict[str, Any]) -> None:
    """Put what a word says among the arguments."""
    key, equals, value = word.partition("=")
    if word.startswith("["):
        pattern, colon, rest = word[1:-1].partition(":")
        if not (word.endswith("]") and colon):
            raise WorkbenchError(
                repr(word), "an override is [pattern: recipe]", "write [*.down_proj: w=int8]"
            )
        found["overrides"].append((pattern.strip(), rest.strip()))
    elif equals and key in SCHEMES:
        _once(found, SCHEMES[key], value, word)
    elif equals and key == "seed":
        if not value.isdigit():
            raise WorkbenchError(word, "a seed is a whole number", "write seed=0")
        _once(found, "seed", int(value), word)
    elif word in WORDS:
        found[word] = True
    elif word != FLOAT:
        chosen = part(word)
        if chosen.kind == "solver":
            _once(found, "solver", chosen, word)
        else:
            found[f"{chosen.kind}s"].append(chosen)


def _once(found: dict[str, Any], name: str, value: Any, word: str) -> None:
    """Set an argument that a recipe has one of."""
    if name in found:
        raise WorkbenchError(f"{word} after {name}={found[name]}", "there is one", "leave one out")
    found[name] = value


def _words(text: str) -> list[str]:
    """The words of a text; spaces inside brackets belong to their word."""
    words, depth, current = [], 0, ""
    for character in text.strip():
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            break
        if character.isspace() and not depth:
            words.append(current)
            current = ""
        else:
            current += character
    if depth:
        raise WorkbenchError(repr(text), "its brackets do not pair", "write smooth(alpha=0.5)")
    return [word for word in [*words, current] if word]
