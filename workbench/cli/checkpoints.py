"""Commands on models: what there is, what is in them, the table of the README."""

from __future__ import annotations

import argparse
from typing import Any

from workbench.cli.printing import print_json


def add_models(commands: Any) -> None:
    """Add `models` and its actions."""
    says = "the models: what there is, fetching an optional one, the table of the README"
    actions = commands.add_parser("models", help=says, description=says).add_subparsers(
        metavar="ACTION", required=True
    )
    actions.add_parser("list", help="every model and its state").set_defaults(run=_models_list)
    get = actions.add_parser("get", help="fetch an optional real model, checked, to the cache")
    get.add_argument("name", help="smollm2, minilm or efficientnet-lite0")
    get.set_defaults(run=_models_get)
    table = actions.add_parser("table", help="measure models under recipes; takes minutes")
    table.add_argument("names", nargs="*", help="text models; without any, all that are here")
    table.add_argument("--write", metavar="FILE", help="put the table into this Markdown file")
    table.set_defaults(run=_models_table)
    _add_model_scans(actions)


def _add_model_scans(actions) -> None:
    show = actions.add_parser("show", help="the tensors of a checkpoint, or one of them closely")
    show.add_argument("name", help="a model by its name, or a path")
    show.add_argument("tensor", nargs="?", help="a tensor, to see its range, outliers and lattice")
    show.set_defaults(run=_models_show)
    scan = actions.add_parser(
        "scan", help="walk through all tensors: ranges, NaN, outliers, errors"
    )
    scan.add_argument("name", help="a model by its name, or a path")
    scan.add_argument("--schemes", nargs="+", metavar="SCHEME", help="whose error is to be told")
    scan.add_argument("--json", action="store_true", help="machine-readable")
    scan.set_defaults(run=_models_scan)
    large = actions.add_parser("synthetic", help="write a large synthetic checkpoint to try things")
    large.add_argument("folder", help="an empty folder, or a new one")
    large.add_argument("--size", default="4GB", help="of all tensors, such as 64MB or 4GB")
    large.add_argument("--shard", default="512MB", help="of one file at most")
    large.add_argument("--dtype", default="bf16", help="bf16, f16 or f32")
    large.add_argument("--nan", action="store_true", help="three weights are NaN")
    large.set_defaults(run=_models_synthetic)


def _models_list(options: argparse.Namespace) -> None:
    from workbench.models import tables

    print(tables.main_list())


def _models_get(options: argparse.Namespace) -> None:
    from workbench.models import tables

    tables.main_get(options.name)


def _models_table(options: argparse.Namespace) -> None:
    from workbench.models import tables

    tables.main_table(options.write, options.names)


def _models_show(options: argparse.Namespace) -> None:
    from workbench.models import scan_tables

    print(scan_tables.main_show(options.name, options.tensor))


def _models_scan(options: argparse.Namespace) -> int:
    from workbench.models import scan_tables

    rows, text, cancelled = scan_tables.main_scan(options.name, options.schemes)
    if options.json:
        print_json(scan_tables.records(rows))
    else:
        print(text)
    return 130 if cancelled else 0


def _models_synthetic(options: argparse.Namespace) -> None:
    from workbench.models import scan_tables

    sizes = (options.size, options.shard)
    print(scan_tables.main_synthetic(options.folder, *sizes, options.dtype, options.nan))
