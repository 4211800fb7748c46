"""ONNX initializers open lazily, inside the file and beside it; what is broken gets one error."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from workbench import models
from workbench.errors import WorkbenchError

RNG = np.random.default_rng(0)
ARRAYS = {
    "f32": RNG.normal(size=(3, 5)).astype(np.float32),
    "f64": RNG.normal(size=4),
    "f16": RNG.normal(size=(2, 2)).astype(np.float16),
    "bf16": RNG.normal(size=6).astype(ml_dtypes.bfloat16),
    "f8": np.arange(-3, 3).astype(ml_dtypes.float8_e4m3fn),
    "i64": np.arange(6, dtype=np.int64).reshape(2, 3),
    "i8": np.arange(-3, 3, dtype=np.int8),
    "i4": np.arange(-8, 8).astype(ml_dtypes.int4),
    "flag": np.array([True, False]),
    "scalar": np.array(2.5, np.float32),
}


def graph(arrays=ARRAYS):
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    tensors.append(helper.make_tensor("words", TensorProto.STRING, [1], [b"no number"]))
    return helper.make_model(helper.make_graph([], "g", [], [], initializer=tensors))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def test_every_initializer_comes_with_its_values(path):
    onnx.save(graph(), path)
    checkpoint = models.tensors(path)
    assert set(checkpoint) == set(ARRAYS)
    kinds = [info.dtype for info in checkpoint.infos]
    assert kinds == ["f32", "f64", "f16", "bf16", "f8_e4m3", "i64", "i8", "i4", "bool", "f32"]
    for name, array in ARRAYS.items():
        read = checkpoint[name]
        assert read.shape == array.shape == checkpoint.info(name).shape
        np.testing.assert_array_equal(read, array.astype(read.dtype))
    assert {checkpoint[name].dtype.name for name in ("f16", "bf16", "f8")} == {"float32"}
    assert checkpoint["i4"].dtype == np.int8
    assert checkpoint.info("i4").nbytes == 8
    assert checkpoint.info("f32").nbytes == 60


def beside(path, **changes):
    external = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    onnx.save(graph({name: ARRAYS[name] for name in ("f32", "i64")}), path, **external, **changes)


def test_weights_beside_the_file_are_read_from_there(path):
    beside(path)
    checkpoint = models.load(path.parent)
    assert checkpoint.info("f32").file == "weights.bin"
    np.testing.assert_array_equal(checkpoint["f32"], ARRAYS["f32"])
    np.testing.assert_array_equal(checkpoint["i64"], ARRAYS["i64"])


def test_missing_and_truncated_weights_are_named(path):
    beside(path)
    weights = path.with_name("weights.bin")
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(WorkbenchError, match=r"weights\.bin → it is truncated: 'i64' ends"):
        models.tensors(path)
    weights.unlink()
    with pytest.raises(WorkbenchError, match=r"weights\.bin, which is missing"):
        models.tensors(path)


def test_a_path_out_of_the_folder_is_not_followed(path, tmp_path):
    model = graph({"f32": ARRAYS["f32"]})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret").write_bytes(bytes(60))
    (inner / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(WorkbenchError, match="secret"):
        models.tensors(inner / "model.onnx")["f32"]


def test_no_truncation_passes_unnoticed(path):
    onnx.save(graph(), path)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 11):
        path.write_bytes(whole[:length])
        try:
            assert len(models.tensors(path)) < len(ARRAYS)  # cut just between two of them
        except WorkbenchError as error:
            refused = str(error)
            assert "truncated" in refused or "no initializer" in refused


def test_a_graph_does_not_say_how_to_run(path):
    onnx.save(graph(), path)
    with pytest.raises(WorkbenchError, match="do not say what network"):
        models.open_model(path)
