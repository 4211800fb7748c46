"""The tables of the README and the three commands: `workbench models list`, `get` and `table`.

Tables are Markdown and say how they were measured; `write_table` puts them between two comments of
a file, so that running the command again replaces them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from workbench._files import replacing
from workbench.errors import WorkbenchError

BEGIN = "<!-- begin: workbench models table -->"
END = "<!-- end: workbench models table -->"
PROTOCOL = (
    "Shipped byte-level reference model; {scored:,} bytes of *Hamlet*, held out of its training; "
    "one token a byte, context {context}, stride {stride}, loss in nats a byte. The 28 linear "
    "layers inside the blocks are rounded, embedding and head are not. A scale is absmax / qmax "
    "unless the scheme says otherwise. KL is KL(float ‖ quantized) in nats a byte ± its standard "
    "error over windows."
)


def weight_markdown(rows: list[dict]) -> str:
    """The Markdown table of `evaluate.weight_table` rows.

    >>> row = {"scheme": "int8", "bits": 8.0, "loss": 1.5, "kl": 0.01, "kl_error": 0.001}
    >>> print(weight_markdown([row | {"agreement": 0.99}]).splitlines()[-1])
    | `int8` | 8.00 | 1.5000 | 0.01000 ± 0.00100 | 99.00 % |
    """
    head = ["weights", "bits a value", "loss", "KL to float32", "same top byte"]
    return _table(
        head, [[f"`{row['scheme']}`", f"{row['bits']:.2f}", *_cells(row)] for row in rows]
    )


def activation_markdown(rows: list[dict]) -> str:
    """The Markdown table of `evaluate.activation_table` rows."""
    head = ["model", "weights", "activations", "loss", "KL to float32", "same top byte"]
    names = ("model", "weights", "activations")
    return _table(head, [[*(f"`{row[name]}`" for name in names), *_cells(row)] for row in rows])


def markdown_table(report: Callable[[str], object] = lambda line: None) -> str:
    """Measure both tables on the whole held-out slice (some minutes) and give them as Markdown."""
    from workbench import models
    from workbench.models import extras

    torch = extras.need("torch", "measuring the reference model")
    torch.set_num_threads(1)  # windows are too small to share; waiting threads only cost time
    from workbench.models import evaluate

    text = models.held_out_text()
    context = models.recipe()["model"]["context"]
    protocol = PROTOCOL.format(scored=len(text) - 1, context=context, stride=context)
    weights = weight_markdown(evaluate.weight_table(text=text, report=report))
    activations = activation_markdown(evaluate.activation_table(text, report))
    second = (
        "W8A8 with dynamic ranges: one activation scale a window of 256 tokens (`int8/tensor`) or "
        "one a token (`int8/token`). The *outlier twin* is the same function with a few channels "
        "64 times larger:"
    )
    return "\n\n".join([protocol, weights, second, activations])


def write_table(path: str | Path, table: str) -> None:
    """Replace what stands between the two comments of a Markdown file by `table`.

    A file that is missing or has no such comments is a `WorkbenchError`.
    """
    path = Path(path)
    if not path.is_file():
        raise WorkbenchError(str(path), "there is no such file", "write --write README.md")
    text = path.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise WorkbenchError(
            str(path), "the place for the table is not marked", f"put {BEGIN} and {END} into it"
        )
    with replacing(path) as spare:
        spare.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", "utf-8")


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


def main_table(write: str | Path | None = None) -> None:
    """What `workbench models table [--write FILE]` does: measure, then print or write."""
    table = markdown_table(report=lambda line: print(line, flush=True))
    if write is None:
        print(table)
    else:
        write_table(write, table)
        print(f"written to {write}")


def _cells(row: dict) -> list[str]:
    kl = f"{row['kl']:.5f} ± {row['kl_error']:.5f}" if row["kl"] else "0"
    return [f"{row['loss']:.4f}", kl, f"{100 * row['agreement']:.2f} %"]


def _table(head: list[str], rows: list[list[str]]) -> str:
    marks = ["---" if index == 0 else "---:" for index in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, marks, *rows])
