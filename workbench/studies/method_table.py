"""The published methods on several models: what each loses, with intervals, bits and times.

Rows are kept in a file as they come, so that a stopped run goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .._files import replacing
from ..errors import WorkbenchError, unknown
from ..quantizers import Layer
from ..quantizers.papers import PAPERS, Paper
from .crossing import LayerSubject, ModelSubject, Subject, attempt

BEGIN = "<!-- begin: workbench papers --table -->"
END = "<!-- end: workbench papers --table -->"
BLOCKS = ("model.layers.3.*", "model.layers.11.*", "model.layers.26.*")
QUERY, OUTLIERS = "encoder.layer.2.attention.self.query", "encoder.layer.0.intermediate.dense"
SUBJECTS = {
    "reference": ("reference", "KL of the shipped model"),
    "reference-twin": ("reference-twin", "KL of its twin with planted outliers"),
    "minilm query": ("minilm", f"error of MiniLM's {QUERY}"),
    "minilm ffn": ("minilm", f"error of MiniLM's {OUTLIERS}, which has outliers"),
    "smollm2": ("smollm2", "KL of SmolLM2-135M with three of its thirty blocks quantized"),
}
PROTOCOL = (
    "A row a method: its recipe at widths where its effect shows, applied to every linear layer "
    "inside the blocks of the shipped model and its twin, to two layers of MiniLM, and to the "
    "blocks 3, 11 and 26 of SmolLM2-135M. Calibration reads the first half of the shipped *Hamlet*"
    ", and what is scored lies in its second half. Models: KL(float ‖ quantized) in nats a token. "
    "Layers: squared error of the outputs over their square. In brackets the ends of a 95 % "
    "bootstrap interval, then the seconds that quantizing took on the machine of the run. Methods "
    "differ in width, so look at the bits a weight first: those of the leftmost model that was "
    "measured, all counted, so factors and scales weigh more than they do in large layers."
)
KNOWN, SCORED, LAYER_ROWS = 8192, 4096, 6144


def subject_named(name: str) -> Subject:
    """A column of the table: a model, or a layer of one.

    Example:
        >>> subject_named("reference").figure
        'KL to float'
    """
    from .. import models
    from ..models.calibrate import calibrate
    from ..models.layer_costs import Damage

    if name not in SUBJECTS:
        raise unknown("column of the table", name, list(SUBJECTS))
    model, text = models.open_model(SUBJECTS[name][0]), models.held_out_text()
    half = len(text) // 2
    if SUBJECTS[name][0] == "minilm":
        layer = QUERY if name.endswith("query") else OUTLIERS
        seen, held_out = (
            calibrate(model, part, [layer], rows, 64)[layer]
            for part, rows in ((text[:half], LAYER_ROWS), (text[half:], LAYER_ROWS // 6))
        )
        return LayerSubject(Layer.of(model.linears()[layer], layer), seen, held_out)
    window, only = min(model.context, 256), BLOCKS if name == "smollm2" else ()
    named = [one for one in model.linears() if not only or one.startswith(_starts(only))]
    known = calibrate(model, text[:half], named if only else None, KNOWN, window)
    damage = Damage(model, model.encode(text[half:])[: SCORED + 1], window)
    return ModelSubject(model, known, damage, only=only)


def _starts(patterns: Sequence[str]) -> tuple[str, ...]:
    return tuple(pattern.removesuffix("*") for pattern in patterns)


def method_rows(
    names: Sequence[str] | None = None,
    kept: str | Path | None = None,
    report: Callable[[str], object] = lambda line: None,
    methods: Sequence[Paper] = PAPERS,
) -> list[dict[str, Any]]:
    """One row a method and column: what `Cell` holds, with `method` and `subject`.

    Args:
        names: columns of `SUBJECTS`; None for those whose model is here.
        kept: a JSON file that rows are read from and added to; None keeps none.
        report: is told what is being measured.
        methods: whose recipes are measured.
    """
    rows = _read(kept)
    done = {(row["subject"], row["method"], row["recipe"]) for row in rows}
    for name in names or _here():
        left = [one for one in methods if (name, one.name, str(one.recipe)) not in done]
        for row in _measured(name, left, report):
            rows.append(row)
            _write(kept, rows)
    return rows


def _measured(name: str, methods: Sequence[Paper], report) -> Iterator[dict[str, Any]]:
    if not methods:
        return
    report(f"{name}: calibrating")
    subject = subject_named(name)
    for paper in methods:
        report(f"{name}: {paper.name}, {paper.recipe}")
        cell = attempt("", paper.recipe.solver.name, paper.recipe, subject)
        yield {"subject": name, "method": paper.name, **asdict(cell)}


def _here() -> list[str]:
    """The columns whose model needs no fetching any more."""
    from .. import models

    here = {row["name"] for row in models.available() if not row["state"].startswith("not")}
    return [name for name, (model, _) in SUBJECTS.items() if model in here]


def _read(kept: str | Path | None) -> list[dict[str, Any]]:
    if kept is None or not Path(kept).exists():
        return []
    try:
        rows = json.loads(Path(kept).read_text("utf-8"))
        return [row for row in rows if {"subject", "method", "recipe"} <= row.keys()]
    except (ValueError, AttributeError, TypeError) as error:
        why = f"it holds no rows of this table ({error})"
        raise WorkbenchError(str(kept), why, "name another file, or remove it") from error


def _write(kept: str | Path | None, rows: list[dict[str, Any]]) -> None:
    if kept is not None:
        with replacing(kept) as spare:
            spare.write_text(json.dumps(rows, indent=1), "utf-8")


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table as Markdown: methods by columns, and below it the reasons of what was refused.

    Example:
        >>> from workbench.studies.crossing import Cell
        >>> cell = Cell("", "gptq", "w=int4 gptq", 0.01, 0.009, 0.011, 4.1, 2.0)
        >>> row = {"subject": "reference", "method": "GPTQ", **asdict(cell)}
        >>> print(markdown([row]).splitlines()[-1])
        | GPTQ | `w=int4 gptq` | 4.1 | 0.01 (0.009 to 0.011) 2 s |
    """
    columns = [name for name in SUBJECTS if any(row["subject"] == name for row in rows)]
    grid = {(row["method"], row["subject"]): row for row in rows}
    methods = dict.fromkeys(row["method"] for row in rows)
    reasons: dict[str, int] = {}
    head = ["method", "recipe", "bits a weight", *(f"{SUBJECTS[name][1]}" for name in columns)]
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)]]
    for method in methods:
        found = [grid.get((method, name)) for name in columns]
        one = next(row for row in found if row is not None)
        bits = next((row["bits"] for row in found if row and row["bits"]), None)
        lines.append([
            method, f"`{one['recipe']}`", "" if bits is None else f"{bits:.3g}",
            *(_cell(row, reasons) for row in found),
        ])  # fmt: skip
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    notes = "\n".join(f"{number}. {reason}" for reason, number in reasons.items())
    return f"{PROTOCOL}\n\n{table}" + (f"\n\nRefused:\n\n{notes}" if notes else "")


def _cell(row: dict[str, Any] | None, reasons: dict[str, int]) -> str:
    if row is None:
        return "not measured"
    if row["value"] is None:
        return f"refused ({reasons.setdefault(row['refused'], len(reasons) + 1)})"
    value, low, high = (f"{row[name]:.3g}" for name in ("value", "low", "high"))
    return f"{value} ({low} to {high}) {row['seconds']:.2g} s"
