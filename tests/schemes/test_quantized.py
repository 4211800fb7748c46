"""Packed tensors: exact bytes for every width, exact values, and files that never lie."""

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.schemes import QuantizedTensor

X = np.random.default_rng(0).normal(size=(7, 45)).astype(np.float32)


@pytest.mark.parametrize("width", range(1, 17))
@pytest.mark.parametrize("sign", ["", "u"])
def test_bytes_of_every_width(width, sign):
    q = wb.scheme(f"{sign}int{width}/g32").quantize(X)
    assert q.packed.nbytes == -(-7 * 45 * width // 8)
    assert q.nbytes == q.packed.nbytes + 7 * 2 * 4
    assert q.bits_per_value == 8 * q.nbytes / X.size
    assert np.array_equal(q.dequantize(), wb.scheme(f"{sign}int{width}/g32").round(X))
    assert q.codes.shape == X.shape
    assert q.codes.max() < 1 << width


def test_bytes_count_scales_zero_points_and_the_tensors_own_scale():
    sizes = {
        "int4/g32": 158 + 14 * 4, "int4/g32*f16": 158 + 14 * 2, "int4/g32*f16+zp": 158 + 28 + 7,
        "mxfp4": 158 + 14, "nvfp4": 158 + 21 + 4, "int8/channel": 315 + 28, "int8/tensor": 319,
        "int4/g32*pow2": 158 + 14, "int4/t4x32": 158 + 4 * 4, "e4m3fn": 315,
        "int3/token+zp": 119 + 28 + 3,
    }  # fmt: skip
    for spec, size in sizes.items():
        q = wb.scheme(spec).quantize(X)
        assert q.nbytes == size, spec
        assert np.isclose(q.bits_per_value, wb.scheme(spec).bits_per_value(X.shape), atol=0.04), (
            spec
        )


SPECS = ["int4/g32", "int4/g32*f16+zp", "mxfp4", "nvfp4", "nf4/b64", "int8/tensor", "e4m3fn",
         "int3/t4x8", "int4/g32*pow2", "int5/channel*bf16", "mxfp6"]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("axis", [-1, 0])
def test_files_keep_everything(spec, axis, tmp_path):
    q = wb.scheme(spec).quantize(X, axis=axis)
    q.save(tmp_path / "q.safetensors")
    back = QuantizedTensor.load(tmp_path / "q.safetensors")
    assert (back.scheme, back.shape, back.axis, back.whole) == (q.scheme, q.shape, q.axis, q.whole)
    assert back.nbytes == q.nbytes
    assert np.array_equal(back.packed, q.packed)
    assert np.array_equal(back.dequantize(), wb.scheme(spec).round(X, axis=axis))


def test_empty_and_single_values_keep_too(tmp_path):
    for x in (np.empty((0, 4), np.float32), np.float32(0.5), np.ones((2, 3, 4), np.float32)):
        q = wb.scheme("int4/g32").quantize(x)
        q.save(tmp_path / "q.safetensors")
        back = QuantizedTensor.load(tmp_path / "q.safetensors").dequantize()
        assert back.shape == np.shape(x)
        assert np.array_equal(back, wb.scheme("int4/g32").round(x))


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    import safetensors.numpy

    path = tmp_path / "q.safetensors"
    wb.scheme("int4/g32").quantize(X).save(path)
    before = path.read_bytes()

    def half(parts, name, metadata):
        with open(name, "wb") as file:
            file.write(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(safetensors.numpy, "save_file", half)
    with pytest.raises(WorkbenchError, match="the disk is full"):
        wb.scheme("int8/g32").quantize(X).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_are_not_quantized_tensors(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "q.safetensors"
    wb.scheme("int4/g32").quantize(X).save(path)
    whole = path.read_bytes()
    others = {
        "truncated": whole[:-9],
        "half a header": whole[:40],
        "empty": b"",
        "noise": bytes(range(256)) * 4,
        "a huge header": b"\xff" * 7 + b"\x7f" + whole[8:],
    }
    for name, content in others.items():
        path.write_bytes(content)
        with pytest.raises(WorkbenchError, match="it is not a quantized tensor of the workbench"):
            QuantizedTensor.load(path)
        assert name
    save_file({"w": X}, path)
    with pytest.raises(WorkbenchError, match="it is not a quantized tensor of the workbench"):
        QuantizedTensor.load(path)
    with pytest.raises(WorkbenchError, match="there is no such file → check the path"):
        QuantizedTensor.load(tmp_path / "missing")


def test_parts_that_do_not_fit_together(tmp_path):
    import json

    from safetensors.numpy import save_file

    path = tmp_path / "q.safetensors"
    about = {"scheme": "int4/g32", "shape": [7, 45], "axis": -1, "whole": "0x1p0"}
    good = wb.scheme("int4/g32").quantize(X)
    wrong = [
        (about, {"packed": good.packed[:-1], "scales": good.stored_scales}),
        (about, {"packed": good.packed, "scales": good.stored_scales[:3]}),
        (about, {"packed": good.packed}),
        (about | {"scheme": "int4/g32+zp"}, {"packed": good.packed, "scales": good.stored_scales}),
        (about | {"scheme": "nonsense"}, {"packed": good.packed, "scales": good.stored_scales}),
        (about | {"axis": 5}, {"packed": good.packed, "scales": good.stored_scales}),
        ({"scheme": "int4/g32"}, {"packed": good.packed, "scales": good.stored_scales}),
    ]
    for metadata, parts in wrong:
        save_file(parts, path, {"workbench": json.dumps(metadata)})
        with pytest.raises(WorkbenchError):
            QuantizedTensor.load(path)
