"""Which text a solver should be calibrated on: rows for each text, evaluation, width and solver.

Source: Giagnorio et al., 2025 ("Quantizing Large Language Models for Code Generation: A
Differentiated Replication"), who calibrated on random text, on code, and on both. Code here is the
source of modules of Python's own library as they are installed, so figures move a little from one
version of Python to the next.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from ..errors import WorkbenchError
from ..models import held_out_text
from ..models.calibrate import Calibrations, calibrate, token_numbers
from ..models.evaluate import evaluate
from ..models.language import LanguageModel, TextModel
from ..models.quantize import quantize
from ..quantizers import Layer, Recipe

MODULES = (
    "argparse", "bisect", "calendar", "configparser", "csv", "dataclasses", "difflib", "fractions",
    "heapq", "json.decoder", "pprint", "queue", "random", "statistics", "string", "textwrap",
)  # fmt: skip
READ, KEPT_APART = 2400, 600  # characters of each module's first half, and of its second
WHOLE = "all"  # the layer of rows of whole models


def code_text() -> tuple[str, str]:
    """Python source to calibrate on, and other pieces of the same modules to score on.

    Example:
        >>> [len(part) for part in code_text()]
        [38400, 9600]
    """
    sources = [inspect.getsource(import_module(name)) for name in MODULES]
    halves = [(one[: len(one) // 2], one[len(one) // 2 :]) for one in sources]
    read = "".join(first[:READ].ljust(READ, "\n") for first, _ in halves)
    return read, "".join(second[:KEPT_APART].ljust(KEPT_APART, "\n") for _, second in halves)


def prose_text() -> tuple[str, str]:
    """The two halves of the shipped play.

    Example:
        >>> prose_text()[0][:6]
        'HAMLET'
    """
    text = held_out_text().decode()
    return text[: len(text) // 2], text[len(text) // 2 :]


def mixture(model: TextModel, texts: Sequence[Any], tokens: int, window: int) -> Tensor:
    """Windows of several texts in turn, int64 (T,), until there are so many tokens.

    Args:
        model: whose vocabulary is used.
        texts: texts or token numbers; one too short for its share is a `WorkbenchError`.
        tokens: how many in all.
        window: tokens that come from one text before the next one follows.

    Example:
        >>> from workbench import models
        >>> mixture(models.open_model("reference"), [b"aaaa", b"bbbb"], 8, 2).tolist()
        [97, 97, 98, 98, 97, 97, 98, 98]
    """
    count = -(-tokens // (window * len(texts)))
    parts = []
    for text in texts:
        ids = token_numbers(model, text)
        if len(ids) < count * window:
            raise WorkbenchError(
                f"a text of {len(ids)} tokens", f"its share of the mixture is {count * window}",
                "give a longer text, or mix fewer tokens",
            )  # fmt: skip
        parts.append(ids[: count * window].view(count, window))
    return torch.stack(parts, dim=1).flatten()[:tokens]


def calibration_study(
    model: TextModel,
    calibrations: Mapping[str, Any],
    evaluations: Mapping[str, Any],
    bits: Sequence[int] = (4, 3, 2),
    solvers: Sequence[str] = ("nearest", "gptq"),
    names: Sequence[str] | None = None,
    scheme: str = "int{}/channel+zp",
    tokens: int = 6144,
    scored: int = 1024,
    window: int = 64,
    whole: bool = False,
) -> list[dict[str, Any]]:
    """A row for each calibration, evaluation, width, solver and layer.

    Args:
        model: in float.
        calibrations: texts or token numbers to calibrate on, by name.
        evaluations: others to score on, by name; they should be no part of the first.
        bits: of a weight.
        solvers: texts of parts.
        names: layers; None for all.
        scheme: text with {} for the bits.
        tokens: read of each calibration.
        scored: read of each evaluation.
        window: tokens at once.
        whole: whether language models are also quantized whole and scored.

    Returns:
        Rows with `calibration`, `evaluation`, `bits`, `solver`, `layer` and `error`: squared error
        of the layer's outputs over their square, on the evaluation. Rows of the whole model, where
        they are wanted, have the layer "all" and `perplexity`; it is None elsewhere.

    Example:
        >>> from workbench import models
        >>> layer, (read, other) = "layers.0.mlp.down_proj", prose_text()
        >>> rows = calibration_study(models.open_model("reference"), {"prose": read},
        ...                          {"prose": other}, [3], names=[layer], tokens=1024, scored=256)
        >>> [row["solver"] for row in rows], rows[1]["error"] < rows[0]["error"]
        (['nearest', 'gptq'], True)
    """
    wanted = list(model.linears()) if names is None else list(names)
    heard = None if whole else wanted
    seen = {key: calibrate(model, text, heard, tokens, window)
            for key, text in calibrations.items()}  # fmt: skip
    apart = {key: calibrate(model, text, wanted, scored, window)
             for key, text in evaluations.items()}  # fmt: skip
    rows = []
    for width in bits:
        for solver in solvers:
            recipe = Recipe.parse(f"w={scheme.format(width)} {solver}")
            about = {"bits": width, "solver": solver}
            cells: list[dict[str, Any]] = []
            for key, known in seen.items():
                if not cells or recipe.solver.needs_inputs:  # else all calibrations give the same
                    cells = _layers(model, recipe, known, apart, wanted)
                    if whole:
                        cells += _whole(model, recipe, known, evaluations, scored, window)
                rows += [{"calibration": key} | about | cell for cell in cells]
    return rows


def _layers(
    model: TextModel, recipe: Recipe, known: Calibrations, apart: Mapping[str, Calibrations],
    names: Sequence[str],
) -> list[dict[str, Any]]:  # fmt: skip
    """The errors of single layers on every evaluation."""
    linears, cells = model.linears(), []
    for name in names:
        layer = Layer.of(linears[name], name)
        made = recipe.apply(layer, known[name])
        cells += [
            {"evaluation": key, "layer": name, "error": made.error(layer, other[name]),
             "perplexity": None}
            for key, other in apart.items()
        ]  # fmt: skip
    return cells


def _whole(
    model: TextModel, recipe: Recipe, known: Calibrations, evaluations: Mapping[str, Any],
    scored: int, window: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """The perplexity of a language model on every evaluation."""
    if not isinstance(model, LanguageModel):
        raise WorkbenchError(
            f"the perplexity of {model.name}", "it predicts no tokens", "leave whole=True out"
        )
    made = quantize(model, recipe, known)
    cells = []
    for key, text in evaluations.items():
        found = evaluate(made, token_numbers(model, text)[:scored], context=window)
        cells.append({"evaluation": key, "layer": WHOLE, "error": None,
                      "perplexity": found.perplexity})  # fmt: skip
    return cells


def error_of(rows: Sequence[Mapping[str, Any]], **where: Any) -> float:
    """The one error whose row has these entries; none or several are a `WorkbenchError`.

    Example:
        >>> error_of([{"bits": 4, "error": 0.5}, {"bits": 3, "error": 0.7}], bits=3)
        0.7
    """
    found = [row["error"] for row in rows if all(row[key] == one for key, one in where.items())]
    if len(found) != 1:
        raise WorkbenchError(
            f"rows with {where}", f"there are {len(found)}", "name what tells one from the others"
        )
    return found[0]
