"""Commands on speed."""

from __future__ import annotations

import argparse
from typing import Any

from workbench.cli.printing import print_json
from workbench.errors import WorkbenchError


def add_bench(commands: Any) -> None:
    """Add `bench` and its suites."""
    says = "speed on this machine, beside the other libraries installed and the copy limit"
    suites = commands.add_parser("bench", help=says, description=says).add_subparsers(
        metavar="SUITE", required=True
    )
    casts = suites.add_parser("casts", help="casts, block schemes and sketches")
    casts.add_argument("--cold", action="store_true", help="64M values too")
    casts.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    casts.set_defaults(run=_bench_casts)
    packing = suites.add_parser("packing", help="codes of 1 to 8 bits packed and unpacked")
    packing.set_defaults(run=_bench_packing)
    solvers = suites.add_parser("solvers", help="GPTQ on large layers, beside a plain torch loop")
    solvers.add_argument("--inputs", type=int, default=8192, help="rows that products are of")
    solvers.set_defaults(run=_bench_solvers)
    methods = suites.add_parser("methods", help="each published method on a layer")
    methods.set_defaults(run=_bench_methods)
    for suite, rounds in ((casts, 9), (packing, 9), (solvers, 2), (methods, 1)):
        suite.add_argument("--rounds", type=int, default=rounds, help="samples of each candidate")
        suite.add_argument("--json", action="store_true", help="machine-readable")


def _bench_casts(options: argparse.Namespace) -> None:
    from workbench.studies import bench_casts

    compiled, rounds = not options.no_compile, _rounds(options)
    measured = bench_casts.main(options.cold, compiled, rounds, options.json)
    if options.json:
        print_json(measured)


def _bench_packing(options: argparse.Namespace) -> None:
    from workbench.studies import bench_packing

    measured = bench_packing.main(_rounds(options), options.json)
    if options.json:
        print_json(measured)


def _bench_solvers(options: argparse.Namespace) -> None:
    from workbench.studies import bench_solvers

    measured = bench_solvers.main(
        _rounds(options), _positive(options, "inputs", 8192), options.json
    )
    if options.json:
        print_json(measured)


def _bench_methods(options: argparse.Namespace) -> None:
    from workbench.studies import bench_methods

    measured = bench_methods.main(_rounds(options), options.json)
    if options.json:
        print_json(measured)


def _rounds(options: argparse.Namespace) -> int:
    return _positive(options, "rounds", 9)


def _positive(options: argparse.Namespace, name: str, usual: int) -> int:
    value = getattr(options, name)
    if value < 1:
        raise WorkbenchError(f"--{name} {value}", "nothing to measure", f"write --{name} {usual}")
    return value
