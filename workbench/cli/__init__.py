"""The command `workbench`: one thin sub-command for each thing the library does.

A refusal is printed as its one line and ends with status 2; nothing here prints a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from workbench.cli import benches, checkpoints, costs, pages, published
from workbench.errors import WorkbenchError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 2 for a refusal, 130 when interrupted.

    Example:
        >>> main(["formats", "e4m3nf"])
        2
    """
    options = _parser().parse_args(arguments)
    try:
        status = options.run(options) or 0
        sys.stdout.flush()
        return status
    except WorkbenchError as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of a pipe has gone: what is left in the buffer goes nowhere, silently.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workbench", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (
        pages.add_servers, pages.add_report, pages.add_bits, pages.add_designer,
        published.add_formats, published.add_papers, checkpoints.add_models, costs.add_costs,
        benches.add_bench,
        pages.add_doctor,
    ):  # fmt: skip
        add(commands)
    return parser
