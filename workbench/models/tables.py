"""The tables of the README and the commands `workbench models list`, `get` and `table`.

Tables are Markdown and say how they were measured; `write_table` puts them between two comments of
a file, so that running the command again replaces them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbench._files import replacing
from workbench.errors import WorkbenchError

BEGIN = "<!-- begin: workbench models table -->"
END = "<!-- end: workbench models table -->"
PROTOCOL = (
    "The linear layers inside the blocks are quantized, embedding and head are not. Calibration "
    "reads the first half of the shipped *Hamlet*, which the shipped models never saw in training, "
    "and what is scored lies in the last half. A scale is absmax / qmax unless the scheme says "
    "otherwise; inputs' ranges are found as they come, and `tensor` is a window. Loss is in nats a "
    "token, KL is KL(float ‖ quantized) in nats a token with a 95 % bootstrap interval."
)
TEXT_MODELS = ("reference", "reference-twin", "minilm", "smollm2")
LANGUAGE = ["recipe", "bits a weight", "loss", "perplexity", "KL to float", "same top token"]
ENCODER = ["recipe", "bits a weight", "cosine to float", "same nearest line"]


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The Markdown table of one model's `recipe_table.recipe_rows`.

    >>> row = {"recipe": "w=int8", "bits": 8.0, "loss": 1.5, "perplexity": 4.4817, "kl": 0.01}
    >>> print(markdown([row | {"kl_low": 0.009, "kl_high": 0.011, "agreement": 0.99}]
    ...                ).splitlines()[-1])
    | `w=int8` | 8.00 | 1.5000 | 4.482 | 0.01000 (0.00900 to 0.01100) | 99.00 % |
    """
    language = any("loss" in row for row in rows)
    head, cells = (LANGUAGE, _language_cells) if language else (ENCODER, _encoder_cells)
    marks = ["---", *["---:"] * (len(head) - 1)]
    body = [
        [f"`{row['recipe']}`", row["refused"], *[""] * (len(head) - 2)]
        if "refused" in row
        else [f"`{row['recipe']}`", f"{row['bits']:.2f}", *cells(row)]
        for row in rows
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, marks, *body])


def _language_cells(row: dict[str, Any]) -> list[str]:
    kl = f"{row['kl']:.5f} ({row['kl_low']:.5f} to {row['kl_high']:.5f})" if row["kl"] else "0"
    return [
        f"{row['loss']:.4f}", f"{row['perplexity']:.3f}", kl, f"{100 * row['agreement']:.2f} %",
    ]  # fmt: skip


def _encoder_cells(row: dict[str, Any]) -> list[str]:
    low, high = row["cosine_low"], row["cosine_high"]
    cosine = f"{row['cosine']:.5f} ({low:.5f} to {high:.5f})"
    return [cosine, f"{100 * row['retrieval']:.1f} %"]


def markdown_tables(
    names: Sequence[str] | None = None, report: Callable[[str], object] = lambda line: None
) -> str:
    """Measure every recipe on every model that is here (minutes) and give them as Markdown.

    `names` defaults to the shipped models and those that have been fetched.
    """
    from workbench import models
    from workbench.models import extras

    extras.need("torch", "measuring a model")
    from workbench.models.recipe_table import recipe_rows, shipped_protocol

    parts = [PROTOCOL]
    for name in names or _here():
        model = models.open_model(name)
        protocol = shipped_protocol(model)
        rows = recipe_rows(model, protocol=protocol, report=report)
        parts += [f"**{name}**: {protocol.about}.", markdown(rows)]
    return "\n\n".join(parts)


def _here() -> list[str]:
    """The text models that need no fetching any more."""
    from workbench import models

    here = {row["name"] for row in models.available() if not row["state"].startswith("not")}
    return [name for name in TEXT_MODELS if name in here]


def write_table(path: str | Path, table: str, begin: str = BEGIN, end: str = END) -> None:
    """Replace what stands between two comments of a Markdown file by `table`.

    A file that is missing or has no such comments is a `WorkbenchError`.
    """
    path = Path(path)
    if not path.is_file():
        raise WorkbenchError(str(path), "there is no such file", "write --write README.md")
    text = path.read_text("utf-8")
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise WorkbenchError(
            str(path), "the place for the table is not marked", f"put {begin} and {end} into it"
        )
    with replacing(path) as spare:
        spare.write_text(f"{before}{begin}\n{table}\n{end}{after}", "utf-8")


def main_list() -> str:
    """What `workbench models list` prints: every model, its state and licence."""
    from workbench import models

    rows = [[row["name"], row["state"], row["licence"], row["about"]] for row in models.available()]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3]]) for row in rows]
    return "\n".join([*lines, "fetch one with: workbench models get NAME"])


def main_get(name: str) -> None:
    """What `workbench models get NAME` does: fetch, with a line of progress a stage."""
    from workbench import models

    models.get(name)


def main_table(write: str | Path | None = None, names: Sequence[str] | None = None) -> None:
    """What `workbench models table [NAME ...] [--write FILE]` does: measure, print or write."""
    table = markdown_tables(names, report=lambda line: print(line, flush=True))
    if write is None:
        print(table)
    else:
        write_table(write, table)
        print(f"written to {write}")
