"""The command `workbench`: one thin sub-command for each thing the library does.

A refusal is printed as its one line and ends with status 2; nothing here prints a traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from workbench._files import replacing
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
        _add_servers, _add_report, _add_bits, _add_designer, _add_formats, _add_papers, _add_models,
        _add_bench, _add_doctor,
    ):  # fmt: skip
        add(commands)
    return parser


def _add_servers(commands) -> None:
    for name, says, run in (
        ("lab", "JupyterLab on the start notebook, with the Panel pages beside it", _lab),
        ("serve", "the Panel pages alone", _serve),
    ):
        parser = commands.add_parser(name, help=says, description=says)
        parser.add_argument("--port", type=int, help="the port to listen on")
        parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
        parser.set_defaults(run=run)


def _lab(options: argparse.Namespace) -> int:
    from workbench.apps import launch

    port = launch.LAB_PORT if options.port is None else options.port
    return launch.lab(port, not options.no_browser)


def _serve(options: argparse.Namespace) -> int:
    from workbench.apps import launch

    port = launch.SERVE_PORT if options.port is None else options.port
    return launch.serve(port, not options.no_browser)


def _add_report(commands) -> None:
    says = "the format explorer of a tensor as one HTML file that needs no server and no network"
    parser = commands.add_parser("report", help=says, description=says)
    parser.add_argument("output", metavar="FILE.html")
    _add_tensor(parser)
    parser.add_argument("--schemes", nargs="+", metavar="SCHEME", help="one to four of them")
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    parser.set_defaults(run=_report)


def _add_tensor(parser) -> None:
    """The options that `_source` reads."""
    parser.add_argument("--file", help="a .safetensors or .gguf file, or a folder of them")
    parser.add_argument(
        "--tensor",
        help="a tensor of that file, or of the shipped model (NAME.input is what a layer is given),"
        " or a source such as synthetic:gaussian,65536,0",
    )


def _report(options: argparse.Namespace) -> None:
    from workbench.apps.report import write_report

    source = _source(options.tensor, options.file)
    print(write_report(options.output, source, options.schemes, options.theme))


def _add_bits(commands) -> None:
    says = "the bit-field editor as one HTML file that needs no server and no network"
    parser = commands.add_parser("bits", help=says, description=says)
    parser.add_argument("output", metavar="FILE.html")
    parser.add_argument("--link", default="", help="a state, such as '?format=e4m3fn&code=0x44'")
    parser.set_defaults(run=_bits)


def _bits(options: argparse.Namespace) -> None:
    from workbench.apps.bit_editor_html import write_bit_editor
    from workbench.explorers import BitEditor

    print(write_bit_editor(options.output, BitEditor.from_link(options.link).state))


def _add_designer(commands) -> None:
    says = "the format designer of a tensor as one HTML file that needs no server and no network"
    parser = commands.add_parser("designer", help=says, description=says)
    parser.add_argument("output", metavar="FILE.html")
    _add_tensor(parser)
    parser.add_argument("--link", default="", help="a state, such as '?kind=integer&width=5'")
    parser.add_argument(
        "--bits", nargs="+", type=int, metavar="N",
        help="widths of the codebooks made for the tensor, 1 to 6; 2 3 4 5 unless it says",
    )  # fmt: skip
    parser.set_defaults(run=_designer)


def _designer(options: argparse.Namespace) -> None:
    from workbench.apps.format_designer_html import write_format_designer
    from workbench.explorers import FormatDesigner

    state = FormatDesigner.from_link(options.link).state
    source = _source(options.tensor, options.file)
    if source is not None:
        state["source"] = source
    chosen = {"bits": options.bits} if options.bits else {}
    print(write_format_designer(options.output, state, **chosen))


def _source(tensor: str | None, file: str | None) -> str | None:
    """The line that names a tensor, as the explorers read it; None is the usual one."""
    if file is None:
        if tensor is None or ":" in tensor:
            return tensor
        return f"activation:{tensor}" if tensor.endswith(".input") else f"weight:{tensor}"
    if tensor is None:
        from workbench import models

        infos = models.tensors(file).infos
        tensor = next((info.name for info in infos if len(info.shape) > 1), infos[0].name)
    return f"file:{file}#{tensor}"


def _add_formats(commands) -> None:
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
        _print_json(tables.record(options.name) if options.name else tables.every())
    else:
        print(tables.text_of(options.name) if options.name else tables.text_table())


def _conformance(options: argparse.Namespace) -> None:
    """The conformance table of all formats or of one, printed or written."""
    from workbench.studies import conformance

    results = conformance.run([options.name] if options.name else None)
    if options.json:
        _print_json(conformance.records(results))
    elif options.write:
        with replacing(options.write) as spare:
            spare.write_text(conformance.markdown(results), "utf-8")
        print(options.write)
    else:
        print(conformance.markdown(results))


def _add_papers(commands) -> None:
    says = "the published systems: what each claims, and what is measured here, now"
    parser = commands.add_parser("papers", help=says, description=says)
    parser.add_argument("name", nargs="?", help="a system, by its number or a part of its name")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.set_defaults(run=_papers)


def _papers(options: argparse.Namespace) -> None:
    from workbench import catalogue

    rows = catalogue.records(options.name)
    if options.json:
        _print_json(rows)
    else:
        print(catalogue.text_of(rows[0]) if options.name else catalogue.table(rows))


def _add_models(commands) -> None:
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
        _print_json(scan_tables.records(rows))
    else:
        print(text)
    return 130 if cancelled else 0


def _models_synthetic(options: argparse.Namespace) -> None:
    from workbench.models import scan_tables

    sizes = (options.size, options.shard)
    print(scan_tables.main_synthetic(options.folder, *sizes, options.dtype, options.nan))


def _add_bench(commands) -> None:
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
    for suite, rounds in ((casts, 9), (packing, 9), (solvers, 2)):
        suite.add_argument("--rounds", type=int, default=rounds, help="samples of each candidate")
        suite.add_argument("--json", action="store_true", help="machine-readable")


def _bench_casts(options: argparse.Namespace) -> None:
    from workbench.studies import bench_casts

    compiled, rounds = not options.no_compile, _rounds(options)
    measured = bench_casts.main(options.cold, compiled, rounds, options.json)
    if options.json:
        _print_json(measured)


def _bench_packing(options: argparse.Namespace) -> None:
    from workbench.studies import bench_packing

    measured = bench_packing.main(_rounds(options), options.json)
    if options.json:
        _print_json(measured)


def _bench_solvers(options: argparse.Namespace) -> None:
    from workbench.studies import bench_solvers

    measured = bench_solvers.main(
        _rounds(options), _positive(options, "inputs", 8192), options.json
    )
    if options.json:
        _print_json(measured)


def _rounds(options: argparse.Namespace) -> int:
    return _positive(options, "rounds", 9)


def _positive(options: argparse.Namespace, name: str, usual: int) -> int:
    value = getattr(options, name)
    if value < 1:
        raise WorkbenchError(f"--{name} {value}", "nothing to measure", f"write --{name} {usual}")
    return value


def _add_doctor(commands) -> None:
    says = "what this machine has, and what to do about what is missing"
    parser = commands.add_parser("doctor", help=says, description=says)
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> None:
    from workbench.apps import doctor

    findings = doctor.examine()
    if options.json:
        _print_json(doctor.as_json(findings))
    else:
        print(doctor.report(findings))


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))


if __name__ == "__main__":
    sys.exit(main())
