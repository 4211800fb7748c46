"""Commands on formats and published systems: their tables, and what is measured of them."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from workbench._files import replacing
from workbench.cli.printing import print_json
from workbench.errors import WorkbenchError


def add_formats(commands: Any) -> None:
    """Add `formats`."""
    says = "the table of formats, or one format and its values"
    parser = commands.add_parser("formats", help=says, description=says)
    parser.add_argument("name", nargs="?", help="a format, by any of its names")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.add_argument(
        "--conformance", action="store_true",
        help="run the libraries installed on corner cases: who differs where, as Markdown",
    )  # fmt: skip
    parser.add_argument("--write", metavar="FILE.md", help="put that table into a file")
    parser.set_defaults(run=_formats)


def _formats(options: argparse.Namespace) -> None:
    from workbench.apps import format_tables as tables

    if options.conformance:
        _conformance(options)
        return
    if options.write:
        why = "only the table of --conformance is written to a file"
        raise WorkbenchError(
            f"--write {options.write}", why, f"add --conformance --write {options.write}"
        )
    if options.json:
        print_json(tables.record(options.name) if options.name else tables.every())
    else:
        print(tables.text_of(options.name) if options.name else tables.text_table())


def _conformance(options: argparse.Namespace) -> None:
    """The conformance table of all formats or of one, printed or written."""
    from workbench.studies import conformance

    results = conformance.run([options.name] if options.name else None)
    if options.json:
        print_json(conformance.records(results))
    elif options.write:
        with replacing(options.write) as spare:
            spare.write_text(conformance.markdown(results), "utf-8")
        print(options.write)
    else:
        print(conformance.markdown(results))


def add_papers(commands: Any) -> None:
    """Add `papers`."""
    says = "the published systems: what each claims, and what is measured here, now"
    parser = commands.add_parser("papers", help=says, description=says)
    parser.add_argument("name", nargs="?", help="a system, by its number or a part of its name")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.add_argument(
        "--table", nargs="*", metavar="COLUMN",
        help="measure every method's recipe on these models and layers, or on all that are here; "
        "takes long",
    )  # fmt: skip
    parser.add_argument("--rows", metavar="FILE.json", help="keep the table's rows, and go on")
    parser.add_argument("--write", metavar="FILE.md", help="put the table into a Markdown file")
    parser.set_defaults(run=_papers)


def _papers(options: argparse.Namespace) -> None:
    from workbench import catalogue

    if options.table is not None:
        _method_table(options)
        return
    for name in ("rows", "write"):
        if getattr(options, name):
            passed = f"--{name} {getattr(options, name)}"
            raise WorkbenchError(passed, "it is of the table", f"write --table {passed}")
    rows = catalogue.records(options.name)
    if options.json:
        print_json(rows)
    else:
        print(catalogue.text_of(rows[0]) if options.name else catalogue.table(rows))


def _method_table(options: argparse.Namespace) -> None:
    """The published methods on models, printed or written."""
    from workbench.models.tables import write_table
    from workbench.studies import method_table

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    rows = method_table.method_rows(options.table, options.rows, report)
    if options.json:
        print_json(rows)
    elif options.write:
        table = method_table.markdown(rows)
        write_table(options.write, table, method_table.BEGIN, method_table.END)
        print(options.write)
    else:
        print(method_table.markdown(rows))
