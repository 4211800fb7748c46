"""What has been measured of an opened model by now, and the work that measures the rest.

Work is an iterator that yields the names of the views that have changed, so that it can be drawn as
it goes and dropped between two steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..errors import WorkbenchError
from ..quantizers import Recipe
from ..schemes.report import decibels
from ..views.qsur_path import QsurPath
from ..views.sensitivity import MODES, Sensitivity
from ..views.what_helps import Variant
from . import layer_variants
from .background import Newest
from .opened_model import RUNNING, Opened

FIGURES = {"error": "SQNR of its outputs", "loss": "what the model loses"}
ADDED_UP = 256  # on which the errors of all layers add up
OFTEN, RARELY = 0.5, 3.0  # seconds between two drawings of one view, of a map of many layers
MANY = 64

Work = Iterator[tuple[str, ...]]


class Findings:
    """The figures of a model's layers that are known.

    Args:
        model: an opened one.

    Example:
        >>> from workbench.explorers.opened_model import opened
        >>> findings = Findings(opened("reference"))
        >>> findings.sensitivity("w=int4/g32", "error") is None
        True
        >>> for _ in findings.map_work("w=int4/g32", "error"):
        ...     pass
        >>> findings.sensitivity("w=int4/g32", "error").figure
        'SQNR'
    """

    def __init__(self, model: Opened):
        self.model = model
        self._records: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self._filled: set[tuple[str, str]] = set()
        self._paths: dict[tuple[str, str, str], QsurPath | str] = {}
        self._costs: dict[tuple[str, str], tuple[float, float, float]] = {}
        self._variants: dict[tuple[str, str], Variant] = {}

    def filled(self, recipe: str, figure: str) -> bool:
        """Whether every layer has been measured under a recipe."""
        return (recipe, figure) in self._filled

    def sensitivity(self, recipe: str, figure: str) -> Sensitivity | None:
        """The layers measured by now, the others as not measured; None where there is none."""
        records = self._records.get((recipe, figure))
        if not records:
            return None
        missing = [
            {"scheme": recipe, "layer": name, MODES[0]: None}
            for name in self.model.layers if name not in records
        ]  # fmt: skip
        more = "" if self.filled(recipe, figure) else ", more to come"
        about = self._about(figure)
        about["provenance"] += more
        return Sensitivity.of([*records.values(), *missing], **about)

    def _about(self, figure: str) -> dict[str, Any]:
        """What the figures are, and on what they were measured."""
        model = self.model
        if figure == "error":
            seen = f"measured on {model.about}"
            return {"figure": "SQNR", "unit": "dB", "worse": "low", "provenance": seen}
        return {
            "figure": model.damage.figure, "unit": model.damage.unit, "ratio": True,
            "provenance": f"measured on {model.scored_about}",
        }  # fmt: skip

    def variants(self, layer: str, tried: Sequence[tuple[str, str]]) -> list[Variant]:
        """The figures of recipes on a layer, as far as they are known, under their labels."""
        known = [(label, text) for label, text in tried if (layer, text) in self._variants]
        return [
            replace(self._variants[layer, text], label=label, cost=self._costs.get((layer, text)))
            for label, text in known
        ]

    def path(self, layer: str, transform: str, text: str) -> QsurPath | str | None:
        """The way of the inputs through a transform, or why there is none; None if not known."""
        return self._paths.get((layer, transform, text))

    def layer_work(
        self, layer: str, tried: Sequence[tuple[str, str]], transform: str, text: str
    ) -> Work:
        """Measure recipes on a layer, then what the model loses, then the utilisation."""
        for label, one in tried:
            if (layer, one) not in self._variants:
                found = layer_variants.measured(self.model, layer, label, one)
                self._variants[layer, one] = found
                yield ("what_helps",)
        for _, one in tried:
            if (layer, one) not in self._costs and not self._variants[layer, one].refused:
                self._costs[layer, one] = layer_variants.cost(self.model, layer, one)
                yield ("what_helps",)
        if (layer, transform, text) not in self._paths:
            self._paths[layer, transform, text] = self._path(layer, transform, text)
            yield ("qsur_view",)

    def _path(self, layer: str, transform: str, text: str) -> QsurPath | str:
        try:
            return layer_variants.path(self.model, layer, transform, text)
        except WorkbenchError as refusal:
            return str(refusal)

    def map_work(self, recipe: str, figure: str) -> Work:
        """Measure every layer, alone and with all before it."""
        from ..models.layer_costs import layer_damages, output_errors

        model, found = self.model, self._records.setdefault((recipe, figure), {})
        parsed = Recipe.parse(recipe)
        if figure == "error":
            ids = model.ids[: min(ADDED_UP, model.model.context)]
            work = output_errors(model.model, parsed, model.known, ids)
        else:
            work = layer_damages(model.damage, parsed, model.known)
        for record in _locked(work):
            found[record["layer"]] = _in_decibels(record) if figure == "error" else record
            yield ("sensitivity_map",)
        self._filled.add((recipe, figure))
        yield ("sensitivity_map",)


def _locked(work: Iterator[Any]) -> Iterator[Any]:
    """The same, while no other work runs a model."""
    while True:
        with RUNNING:
            one = next(work, None)
        if one is None:
            return
        yield one


def _in_decibels(record: dict[str, Any]) -> dict[str, Any]:
    """A record of relative squared errors as one of SQNR."""
    return {k: decibels(1.0, v) if k in MODES else v for k, v in record.items()}


def walk(
    work: Work,
    stop: Callable[[], bool],
    done: Callable[[tuple[str, ...]], None],
    first: Newest | None = None,
    often: float = OFTEN,
) -> None:
    """Do work to its end, or until `stop` says so, and tell `done` what has changed, not too often.

    Args:
        work: yields names of views.
        stop: asked between two steps.
        done: gets names.
        first: other work that goes before every step.
        often: seconds between two times that `done` is told.
    """
    waiting: dict[str, None] = {}
    told = -often
    for names in work:
        waiting.update(dict.fromkeys(names))
        if first is not None:
            first.wait(600)
        if stop():
            return
        if time.monotonic() - told > often:
            done(tuple(waiting))
            told = time.monotonic()
            waiting.clear()
    if waiting and not stop():
        done(tuple(waiting))


def raised(result: Any) -> None:
    """Raise what background work has raised, in its thread."""
    if isinstance(result, Exception):
        raise result
