"""Checkpoints open lazily and exactly; whatever is broken gets one clear error."""

from __future__ import annotations

import json
import struct

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models.opening import open_checkpoint

RNG = np.random.default_rng(0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def saved(path):
    tensors = {
        "a": RNG.normal(size=(3, 5)).astype(np.float32),
        "b": RNG.normal(size=7),
        "c": np.arange(6, dtype=np.int64).reshape(2, 3),
        "scalar": np.array(2.5, np.float32),
        "empty": np.zeros((0, 4), np.float32),
    }
    save_file(tensors, path)
    return tensors


def test_every_tensor_comes_back_as_it_was_saved(saved, path):
    checkpoint = open_checkpoint(path)
    assert set(checkpoint) == set(saved)
    for name, tensor in saved.items():
        np.testing.assert_array_equal(checkpoint[name], tensor)
        assert checkpoint[name].dtype == tensor.dtype
        assert checkpoint.info(name).shape == tensor.shape
        assert checkpoint.info(name).nbytes == tensor.nbytes


def test_listing_reads_no_tensor(path):
    """The table of a sparse file far larger than memory is there at once."""
    size = 1 << 40
    header = json.dumps({"big": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}})
    header = header.ljust(-(-len(header) // 8) * 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header.encode())
        file.truncate(8 + len(header) + size)
    checkpoint = open_checkpoint(path)
    assert checkpoint.table() == [
        {
            "name": "big",
            "shape": [size // 4],
            "dtype": "f32",
            "values": size // 4,
            "bytes": size,
            "file": path.name,
        }
    ]
    assert float(checkpoint["big"][-1]) == 0.0


def test_float32_is_a_view_of_the_file_and_read_only(saved, path):
    array = open_checkpoint(path)["a"]
    assert not array.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_narrow_floats_are_widened_exactly(path):
    codes = torch.arange(1 << 16, dtype=torch.int32).to(torch.int16)
    bytes_ = torch.arange(256, dtype=torch.int32).to(torch.uint8)
    save_torch(
        {
            "f16": codes.view(torch.float16),
            "bf16": codes.view(torch.bfloat16).clone(),
            "e4m3": bytes_.view(torch.float8_e4m3fn).clone(),
            "e5m2": bytes_.view(torch.float8_e5m2).clone(),
        },
        path,
    )
    checkpoint = open_checkpoint(path)
    patterns = np.arange(1 << 16, dtype=np.uint16)
    eight = np.arange(256, dtype=np.uint8)
    for name, expected in {
        "f16": patterns.view(np.float16),
        "bf16": patterns.view(ml_dtypes.bfloat16),
        "e4m3": eight.view(ml_dtypes.float8_e4m3fn),
        "e5m2": eight.view(ml_dtypes.float8_e5m2),
    }.items():
        assert checkpoint[name].dtype == np.float32
        np.testing.assert_array_equal(checkpoint[name], expected.astype(np.float32))


def test_a_folder_of_shards_is_one_checkpoint(tmp_path):
    save_file({"a": np.ones(2, np.float32)}, tmp_path / "m-1.safetensors")
    save_file({"b": np.zeros(3, np.float32)}, tmp_path / "m-2.safetensors")
    index = {"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}
    assert set(open_checkpoint(tmp_path)) == {"a", "b"}
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps(index))
    assert open_checkpoint(tmp_path).info("b").file == "m-2.safetensors"
    assert set(open_checkpoint(tmp_path / "m.safetensors.index.json")) == {"a", "b"}


def test_a_missing_shard_is_named(tmp_path):
    save_file({"a": np.ones(2, np.float32)}, tmp_path / "m-1.safetensors")
    index = tmp_path / "m.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}))
    with pytest.raises(WorkbenchError, match=r"m-2\.safetensors is missing"):
        open_checkpoint(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a": "m-1.safetensors", "b": "m-1.safetensors"}}))
    with pytest.raises(WorkbenchError, match="'b' is in no shard"):
        open_checkpoint(tmp_path)
    index.write_text("[1]")
    with pytest.raises(WorkbenchError, match="not an index"):
        open_checkpoint(tmp_path)


def test_a_tensor_in_two_shards_is_refused(tmp_path):
    for name in ("m-1.safetensors", "m-2.safetensors"):
        save_file({"a": np.ones(2, np.float32)}, tmp_path / name)
    with pytest.raises(WorkbenchError, match=r"m-1\.safetensors and m-2\.safetensors"):
        open_checkpoint(tmp_path)


def test_every_truncation_is_one_error(saved, path):
    whole = path.read_bytes()
    for length in [*range(0, len(whole) - 1, 13), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(WorkbenchError, match=r"has \d+ bytes|claims|truncated|corrupt"):
            open_checkpoint(path)


@given(st.data())
def test_a_flipped_header_byte_is_an_error_or_another_valid_header(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("flip") / "m.safetensors"
    save_file({"a": np.ones((2, 3), np.float32)}, path)
    raw = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 25))
    raw[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    try:
        checkpoint = open_checkpoint(path)
        assert all(np.size(checkpoint[name]) >= 0 for name in checkpoint)
    except WorkbenchError:
        pass


@pytest.mark.parametrize("length", [101_000_000, 1 << 63])
def test_a_huge_header_is_not_read(path, length):
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(WorkbenchError, match="its header claims"):
        open_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".pkl"])
def test_pickles_are_refused_with_the_way_out(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(WorkbenchError, match=r"pickle.*weights_only=True.*model\.safetensors"):
        models.load(path)
    with pytest.raises(WorkbenchError, match="pickle"):
        models.load(tmp_path)


def test_a_pickle_by_another_name_is_still_a_pickle(path):
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(WorkbenchError, match="pickle"):
        models.load(path)


def test_a_missing_file_names_the_nearest(saved, path):
    with pytest.raises(WorkbenchError, match=r"no such file.*model\.safetensors"):
        models.load(path.with_name("modle.safetensors"))


def test_a_folder_without_checkpoint_and_a_foreign_file_are_refused(tmp_path):
    with pytest.raises(WorkbenchError, match=r"no \.safetensors file"):
        models.load(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(WorkbenchError, match="neither a safetensors nor a GGUF"):
        models.load(tmp_path / "notes.txt")


def test_unknown_names_get_the_nearest(saved, path):
    with pytest.raises(WorkbenchError, match="write 'reference'"):
        models.load("refrence")
    with pytest.raises(WorkbenchError, match="write 'scalar'"):
        open_checkpoint(path)["scaler"]


def test_nothing_else_than_numpy_is_needed_to_list():
    import subprocess
    import sys

    code = (
        "import sys; from workbench import models; print(len(models.load(models.DATA)));"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == 39
