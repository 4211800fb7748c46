"""The command on costs: what a step of a model takes on a device, under a recipe."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from workbench.cli.printing import print_json
from workbench.errors import unknown


def add_costs(commands: Any) -> None:
    """Add `costs`."""
    says = "bytes, operations and time of a step of a model on a device, by the roofline"
    parser = commands.add_parser("costs", help=says, description=says)
    parser.add_argument(
        "model", nargs="?", help="a model by name, or a folder with a config.json; without one the "
        "models and devices that are known",
    )  # fmt: skip
    parser.add_argument("--on", metavar="DEVICE", default="h100-sxm", help="a row of hardware")
    parser.add_argument("--recipe", default="float", help="such as 'w=int4/g128 kv=int8/token'")
    parser.add_argument("--phase", default="decode", help="prefill, decode or train")
    parser.add_argument("--batch", type=int, default=1, help="sequences")
    parser.add_argument("--tokens", type=int, default=2048, help="of each, or behind it")
    parser.add_argument(
        "--speculative", type=int, default=1, help="drafted tokens that are checked"
    )
    parser.add_argument("--explain", metavar="PART", help="the formula of a part, filled in")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.set_defaults(run=_costs)


def _costs(options: argparse.Namespace) -> None:
    if options.model is None:
        _known(options.json)
        return
    view = _view(options)
    if options.explain:
        print(_explained(options.explain, view[1]))
    elif options.json:
        print_json(view[0].data())
    else:
        print(view[0].caption)
        print(_table(view[0].data()))


def _view(options: argparse.Namespace) -> tuple[Any, Any]:
    """The roofline of what was asked, and its step."""
    from workbench import costs
    from workbench.quantizers.operands import operands_of
    from workbench.quantizers.recipe import Recipe
    from workbench.views.roofline_chart import roofline_chart

    recipe = Recipe.parse(options.recipe)
    model, device = costs.architecture(options.model), costs.hardware(options.on)
    work = costs.Workload(options.phase, options.batch, options.tokens, options.speculative)
    step = costs.roofline(model, work, device, operands_of(recipe))
    plain = costs.roofline(model, work, device) if recipe != Recipe() else None
    return roofline_chart(step, plain, recipe=str(recipe) if plain else ""), step


def _explained(part: str, step: Any) -> str:
    """The formula of a part's first block."""
    from workbench.costs import grouped

    parts = grouped(step.points)
    if part not in parts:
        raise unknown("part of the step", part, parts)
    return parts[part][0].explain()


def _known(as_json: bool) -> None:
    """The models and devices that are known, with where their figures come from."""
    from workbench import costs

    models = [costs.architecture(name) for name in costs.architectures()]
    devices = costs.hardware_table().values()
    if as_json:
        print_json({
            "models": [{"model": one.name, "parameters": one.parameters} for one in models],
            "hardware": [_device(one) for one in devices],
        })  # fmt: skip
        return
    for model in models:
        print(f"{model.name:<16} {model.parameters / 1e9:8.3f} billion weights")
    for device in devices:
        print(f"\n{device.name:<16} {device.title} ({device.kind})")
        print(*(f"{'':<17}{source}" for source in _device(device)["sources"]), sep="\n")


def _device(device: Any) -> dict[str, Any]:
    """A row of hardware: its peaks, and who states them."""
    return {
        "device": device.name, "title": device.title, "kind": device.kind,
        "peaks": {unit: figure.value for unit, figure in device.peaks.items()},
        "sources": sorted({figure.provenance for figure in device.peaks.values()}),
    }  # fmt: skip


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """The parts of a step, a line each."""
    head = f"{'part':<28}{'op':>10}{'byte':>10}{'op/byte':>10}{'time':>10}  bound"
    lines = [
        f"{row['part']:<28}{row['operations']:>10.3g}{row['bytes']:>10.3g}"
        f"{row['operations a byte']:>10.3g}{1e6 * row['seconds']:>8.3g}us"
        f"  {row['bound']}, {row['arithmetic']}"
        for row in rows
    ]
    return "\n".join([head, *lines])
