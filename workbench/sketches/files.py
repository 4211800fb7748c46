"""Sketches as safetensors files: written under a temporary name, checked when read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._files import replacing
from ..errors import WorkbenchError

if TYPE_CHECKING:
    from .sketch import Sketch

VERSION = 2  # 1 had one sign for values under coarse scales


def save_arrays(kind: str, arrays: dict[str, np.ndarray], about: dict, path: str | Path) -> None:
    """Write arrays and a JSON header of one kind ("sketch", ...) atomically."""
    from safetensors.numpy import save_file

    header = {"kind": kind, "version": VERSION, **about}
    parts = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    with replacing(path) as spare:
        save_file(parts, spare, {"workbench": json.dumps(header, sort_keys=True)})


def load_arrays(kind: str, path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the header of a file of this kind; any other raises `WorkbenchError`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            about = json.loads((file.metadata() or {})["workbench"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise WorkbenchError(str(path), "there is no such file", "check the path") from error
    except (SafetensorError, KeyError, ValueError, OSError, TypeError) as error:
        raise foreign(path, kind, error) from error
    if not isinstance(about, dict) or about.get("kind") != kind:
        raise foreign(path, kind, "it is something else")
    if about.get("version") != VERSION:
        raise WorkbenchError(
            str(path),
            f"its version is {about.get('version')}, and this workbench reads {VERSION}",
            "build it anew, or use the workbench that wrote it",
        )
    return arrays, about


def foreign(path: str | Path, kind: str, why: Any) -> WorkbenchError:
    """The error for a file that is not what it should be."""
    return WorkbenchError(
        str(path), f"it is not a {kind} of the workbench ({why})", "pass a file that .save wrote"
    )


def _narrow(a: np.ndarray) -> np.ndarray:
    """Counts in the smallest of uint16, uint32 and int64 that holds them."""
    most = int(a.max(initial=0))
    return a.astype(np.uint16 if most < 1 << 16 else np.uint32 if most < 1 << 32 else np.int64)


_COUNTS = ("n_zero", "n_nan", "n_pos_inf", "n_neg_inf")


def save_sketch(sketch: Sketch, path: str | Path) -> None:
    """Write a sketch; see `Sketch.save`."""
    values = sketch.values
    arrays = {
        "values.prefixes": values.prefixes,
        "values.counts": _narrow(values.counts),
        "values.sums": _narrow(values.sums),
        "values.squares": values.squares,
    }
    lost = {}
    for key, part in sketch.blocks.items():
        lost[key] = part.lost
        arrays |= {
            f"{key}.index": part.index,
            f"{key}.count": _narrow(part.count),
            f"{key}.moments": part.moments,
            f"{key}.sizes": part.sizes,
        }
    about: dict[str, Any] = {name: getattr(values, name) for name in _COUNTS}
    about |= {"low": values.low.hex(), "high": values.high.hex(), "rounded": values.rounded}
    about |= {"shape": sketch.shape, "axis": sketch.axis, "source": sketch.source, "blocks": lost}
    if sketch.channels is not None:
        more, about["channels"] = sketch.channels.to_arrays()
        arrays |= {f"channels.{name}": a for name, a in more.items()}
    save_arrays("sketch", arrays, about, path)


def load_sketch(path: str | Path) -> Sketch:
    """Read a sketch; see `Sketch.load`."""
    arrays, about = load_arrays("sketch", path)
    try:
        return _sketch(arrays, about)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise foreign(path, "sketch", error) from error


def _sketch(arrays: dict[str, np.ndarray], about: dict[str, Any]) -> Sketch:
    from .blocks import BlockSketch
    from .channels import ChannelHistogram
    from .geometry import Geometry
    from .prefix import FIGURES, PrefixSketch
    from .sketch import Sketch

    counts, sums, squares = (arrays[f"values.{name}"].astype(np.int64) for name in FIGURES)
    low, high = (float.fromhex(about[name]) for name in ("low", "high"))
    counted = {name: int(about[name]) for name in _COUNTS}
    prefixes, rounded = arrays["values.prefixes"].astype(np.uint16), bool(about["rounded"])
    values = PrefixSketch(prefixes, counts, sums, squares, low, high, rounded=rounded, **counted)
    sizes = {a.size for name, a in arrays.items() if name.startswith("values.")}
    if len(sizes) != 1:
        raise ValueError("its parts do not fit each other")
    blocks = {}
    for key, lost in about["blocks"].items():
        index, count, moments, held = (
            arrays[f"{key}.{name}"] for name in ("index", "count", "moments", "sizes")
        )
        if moments.shape != (index.size, 3) or count.size != index.size or held.size != 256:
            raise ValueError("its parts do not fit each other")
        blocks[key] = BlockSketch(
            Geometry.parse(key), index, count.astype(np.int64), moments, held, int(lost)
        )
    channels = None
    if "channels" in about:
        parts = {n.removeprefix("channels."): a for n, a in arrays.items() if "channels." in n}
        channels = ChannelHistogram.from_arrays(parts, about["channels"])
    shape = tuple(int(n) for n in about["shape"])
    return Sketch(values, blocks, shape, int(about["axis"]), channels, about["source"])
