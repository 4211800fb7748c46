"""Commands that show something: servers, HTML files, and what this machine has."""

from __future__ import annotations

import argparse
from typing import Any

from workbench.cli.printing import print_json


def add_servers(commands: Any) -> None:
    """Add `lab` and `serve`."""
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


def add_report(commands: Any) -> None:
    """Add `report`."""
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


def add_bits(commands: Any) -> None:
    """Add `bits`."""
    says = "the bit-field editor as one HTML file that needs no server and no network"
    parser = commands.add_parser("bits", help=says, description=says)
    parser.add_argument("output", metavar="FILE.html")
    parser.add_argument("--link", default="", help="a state, such as '?format=e4m3fn&code=0x44'")
    parser.set_defaults(run=_bits)


def _bits(options: argparse.Namespace) -> None:
    from workbench.apps.bit_editor_html import write_bit_editor
    from workbench.explorers import BitEditor

    print(write_bit_editor(options.output, BitEditor.from_link(options.link).state))


def add_designer(commands: Any) -> None:
    """Add `designer`."""
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


def add_doctor(commands: Any) -> None:
    """Add `doctor`."""
    says = "what this machine has, and what to do about what is missing"
    parser = commands.add_parser("doctor", help=says, description=says)
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> None:
    from workbench.apps import doctor

    findings = doctor.examine()
    if options.json:
        print_json(doctor.as_json(findings))
    else:
        print(doctor.report(findings))
