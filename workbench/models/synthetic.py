"""Synthetic checkpoints of any size, written as a stream: something large to try the tools on.

A folder of safetensors shards in the Llama layout: Gaussian weights with a few columns 32 times
larger, one tensor that already lies on a lattice, and NaN where wanted. Format: the safetensors
specification and its index of shards.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench._files import replacing
from workbench.errors import WorkbenchError, unknown

CODES = {"bf16": ("BF16", 2), "f16": ("F16", 2), "f32": ("F32", 4)}
CHUNK = 1 << 22  # values made at once
SIGMA, FACTOR, COLUMNS = 0.02, 32.0, 3
LATTICE = "model.layers.0.mlp.up_proj.weight"
OUTLIERS = "model.layers.0.mlp.down_proj.weight"
BROKEN = "model.layers.0.self_attn.v_proj.weight"


@dataclass(frozen=True)
class Plan:
    """What will be written: the shards, each a dict of tensor names to shapes.

    Args:
        shards: in order.
        dtype: `"bf16"`, `"f16"` or `"f32"`.
        seed: of every tensor, with its number.
        nan: whether three values of one tensor are NaN.
    """

    shards: tuple[dict[str, tuple[int, ...]], ...]
    dtype: str
    seed: int = 0
    nan: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        width = CODES[self.dtype][1]
        return sum(math.prod(s) * width for shard in self.shards for s in shard.values())


def plan(
    nbytes: int, shard: int = 512 << 20, dtype: str = "bf16", seed: int = 0, nan: bool = False
) -> Plan:
    """Layers and shards of about `nbytes` bytes (within an eighth), none written yet.

    Less than a megabyte, a shard of less than a megabyte, or another type is a `WorkbenchError`.

    >>> one = plan(4_000_000, 1 << 20)
    >>> len(one.shards), abs(one.nbytes / 4_000_000 - 1) < 0.125
    (4, True)
    """
    if dtype not in CODES:
        raise unknown("type of synthetic weights", dtype, CODES)
    if min(nbytes, shard) < 1 << 20:
        raise WorkbenchError(
            f"{min(nbytes, shard):,} bytes", "a megabyte is the least", "write 64MB or 4GB"
        )
    shards: list[dict[str, tuple[int, ...]]] = [{}]
    filled = 0
    for name, shape in _tensors(nbytes // CODES[dtype][1]):
        size = math.prod(shape) * CODES[dtype][1]
        if shards[-1] and filled + size > shard:
            shards.append({})
            filled = 0
        shards[-1][name] = shape
        filled += size
    return Plan(tuple(shards), dtype, seed, nan)


def write(
    folder: str | Path, plan: Plan, report: Callable[[str, int], object] = lambda name, nbytes: None
) -> Path:
    """Write a planned checkpoint; gives the path of its index, which is written last.

    `report` is told the tensor and the bytes, chunk by chunk; memory does not grow with the size.
    A folder that holds a checkpoint already, or a disk without room, is a `WorkbenchError`.
    """
    folder = Path(folder).expanduser()
    _check(folder, plan.nbytes)
    count, numbers = len(plan.shards), iter(range(1 << 30))
    places: dict[str, str] = {}
    for at, shapes in enumerate(plan.shards, 1):
        path = folder / f"model-{at:05d}-of-{count:05d}.safetensors"
        with replacing(path) as spare, spare.open("wb") as file:
            file.write(_header(shapes, plan.dtype))
            for name, shape in shapes.items():
                places[name] = path.name
                for part in _values(name, shape, plan, next(numbers)):
                    data = _encoded(part, plan.dtype)
                    file.write(data)
                    report(name, len(data))
    index = folder / "model.safetensors.index.json"
    with replacing(index) as spare:
        total = {"total_size": plan.nbytes}
        spare.write_text(json.dumps({"metadata": total, "weight_map": places}), "utf-8")
    return index


def outlier_columns(width: int, seed: int = 0) -> np.ndarray:
    """The columns of `OUTLIERS` that are 32 times larger, ascending int64 `(3,)`.

    >>> outlier_columns(768).size
    3
    """
    return np.sort(np.random.default_rng([seed, width]).choice(width, COLUMNS, replace=False))


def _tensors(values: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Llama-type tensors of about so many values: as many layers as fit, of the largest width."""
    width = 64
    while 16 * 13 * (2 * width) ** 2 <= values:
        width *= 2
    hidden, layer = 3 * width, 13 * width**2
    rest = values % layer  # what no layer fills is vocabulary
    vocabulary = max(256, rest // width // 8 * 8)
    yield "model.embed_tokens.weight", (vocabulary, width)
    for at in range(max(1, (values - vocabulary * width) // layer)):
        front = f"model.layers.{at}."
        yield front + "input_layernorm.weight", (width,)
        for name in "qkvo":
            yield f"{front}self_attn.{name}_proj.weight", (width, width)
        yield front + "post_attention_layernorm.weight", (width,)
        yield front + "mlp.gate_proj.weight", (hidden, width)
        yield front + "mlp.up_proj.weight", (hidden, width)
        yield front + "mlp.down_proj.weight", (width, hidden)
    yield "model.norm.weight", (width,)


def _values(name: str, shape: tuple[int, ...], plan: Plan, number: int) -> Iterator[np.ndarray]:
    """A tensor in chunks of whole rows, float32; each chunk is drawn from its own seed."""
    from workbench import schemes

    columns = shape[-1]
    rows = math.prod(shape) // columns
    step = max(1, CHUNK // columns)
    for start in range(0, rows, step):
        generator = np.random.default_rng([plan.seed, number, start])
        size = (min(step, rows - start), columns)
        part = generator.standard_normal(size, np.float32) * np.float32(SIGMA)
        if len(shape) == 1:
            part += np.float32(1)
        if name == OUTLIERS:
            part[:, outlier_columns(columns, plan.seed)] *= np.float32(FACTOR)
        if name == LATTICE:
            part = schemes.parse("int4/g32").round(part)
        if name == BROKEN and plan.nan and not start:
            part[0, :3] = np.nan
        yield part


def _encoded(part: np.ndarray, dtype: str) -> bytes:
    from workbench import formats

    if dtype == "f32":
        return part.astype("<f4").tobytes()
    if dtype == "f16":
        return part.astype("<f2").tobytes()
    return formats.parse("bf16").encode(part).astype("<u2").tobytes()


def _header(shapes: dict[str, tuple[int, ...]], dtype: str) -> bytes:
    kind, width = CODES[dtype]
    records, at = {}, 0
    for name, shape in shapes.items():
        end = at + math.prod(shape) * width
        records[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(records).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    return len(text).to_bytes(8, "little") + text


def _check(folder: Path, nbytes: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        taken = any(folder.glob("*.safetensors*"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise WorkbenchError(
            str(folder), f"it cannot be written ({reason})", "choose another folder"
        ) from None
    if taken:
        raise WorkbenchError(
            str(folder), "there is a checkpoint in it already", "give an empty folder"
        )
    if free < nbytes + (64 << 20):
        raise WorkbenchError(
            f"{nbytes:,} bytes in {folder}",
            f"{free:,} bytes are free there",
            "write less, or elsewhere",
        )
