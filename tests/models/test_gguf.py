"""GGUF files open through the same mapping: names, shapes, values, and the rotary order."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.models.gguf_reader import open_gguf, unpermute

HEADS, WIDTH = 4, 64
RNG = np.random.default_rng(1)


def permute(weights: np.ndarray, heads: int) -> np.ndarray:
    """What the GGUF converter does to query and key rows of a Llama checkpoint."""
    half = weights.shape[0] // heads // 2
    return weights.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(weights.shape)


@pytest.fixture
def tensors():
    names = ["blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.ffn_up.weight"]
    arrays = {name: RNG.normal(size=(WIDTH, WIDTH)).astype(np.float32) for name in names}
    return arrays | {"output_norm.weight": np.ones(WIDTH, np.float32)}


@pytest.fixture
def path(tmp_path, tensors):
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_head_count(HEADS)
    writer.add_token_list(["a", "b", "c"])
    writer.add_array("numbers", [1, 2, 3])
    kinds = gguf.GGMLQuantizationType
    for name, array in tensors.items():
        kind = kinds.F32 if array.ndim == 1 else kinds.Q8_0
        data = array if array.ndim == 1 else gguf.quants.quantize(array, kind)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_names_shapes_and_types_come_from_the_header(path):
    infos = {info.name: info for info in open_gguf(path).infos}
    assert infos["model.layers.0.mlp.up_proj.weight"].shape == (WIDTH, WIDTH)
    assert infos["model.layers.0.mlp.up_proj.weight"].dtype == "q8_0"
    assert infos["model.layers.0.mlp.up_proj.weight"].nbytes == WIDTH * WIDTH // 32 * 34
    assert infos["model.norm.weight"].dtype == "f32"


def test_values_are_those_of_the_package_that_wrote_them(path, tensors):
    checkpoint = open_gguf(path)
    kind = gguf.GGMLQuantizationType.Q8_0
    array = tensors["blk.0.ffn_up.weight"]
    expected = gguf.quants.dequantize(gguf.quants.quantize(array, kind), kind)
    np.testing.assert_array_equal(checkpoint["model.layers.0.mlp.up_proj.weight"], expected)
    np.testing.assert_array_equal(checkpoint["model.norm.weight"], 1.0)


def test_query_rows_return_to_the_order_before_the_converter(path, tensors):
    weights = RNG.normal(size=(HEADS * 6, 8))
    np.testing.assert_array_equal(unpermute(permute(weights, HEADS), HEADS), weights)
    kind = gguf.GGMLQuantizationType.Q8_0
    stored = gguf.quants.dequantize(
        gguf.quants.quantize(tensors["blk.0.attn_q.weight"], kind), kind
    )
    read = open_gguf(path)["model.layers.0.self_attn.q_proj.weight"]
    np.testing.assert_array_equal(permute(read, HEADS), stored)


def test_every_truncation_is_one_error(path):
    whole = path.read_bytes()
    for length in [4, *range(5, len(whole) - 300, 97), len(whole) - WIDTH * 4 - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(WorkbenchError, match="truncated or corrupt"):
            open_gguf(path)


def test_a_corrupt_count_is_refused_without_reading_it(path):
    raw = bytearray(path.read_bytes())
    raw[16:24] = (1 << 60).to_bytes(8, "little")
    path.write_bytes(raw)
    with pytest.raises(WorkbenchError, match="truncated or corrupt"):
        open_gguf(path)
