"""A walk through a checkpoint tells what each tensor holds, in little memory whatever its size."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

import workbench as wb
from workbench import cli, metrics, models
from workbench.errors import WorkbenchError
from workbench.models import scan as scanning
from workbench.models import scan_tables, synthetic
from workbench.models.scan import scan

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path):
    synthetic.write(tmp_path / "small", synthetic.plan(2 << 20, 1 << 20, "f32", nan=True))
    return tmp_path / "small"


def rows_of(folder, **options):
    return {row.name: row for row in scan(models.tensors(folder), **options)}


def test_a_row_says_what_its_tensor_holds(tmp_path):
    values = RNG.normal(size=(40, 64)).astype(np.float32)
    values[0] = 0
    values[7] *= 50
    values[:, 3] *= 40
    save_file({"w": values}, tmp_path / "m.safetensors")
    row = rows_of(tmp_path, schemes=["int4/g32", "mxfp4", "e4m3fn"])["w"]
    assert (row.shape, row.dtype, row.nbytes) == ((40, 64), "f32", values.nbytes)
    assert (row.low, row.high) == (values.min(), values.max())
    assert row.rms == pytest.approx(np.sqrt((values.astype(float) ** 2).mean()))
    assert (row.nan, row.infinite, row.zeros, row.broken) == (0, 0, 64, False)
    assert {(one.axis, one.channel) for one in row.outliers} == {("row", 7), ("column", 3)}
    columns = np.abs(values).max(axis=0)
    found = next(one.ratio for one in row.outliers if one.axis == "column")
    assert found == pytest.approx(columns[3] / np.median(columns))
    for text, sqnr in row.sqnr.items():
        assert sqnr == pytest.approx(metrics.error(values, wb.scheme(text)).sqnr, abs=0.05)


def test_slices_are_the_tensor(tmp_path, monkeypatch):
    """However a tensor is cut, the row is the same; so are vectors and tensors of more axes."""
    arrays = {
        "w": RNG.normal(size=(96, 64)),
        "v": RNG.normal(size=5000),
        "conv": RNG.normal(size=(32, 8, 3, 3)),
        "scalar": np.array(2.5),
    }
    save_file({k: v.astype(np.float32) for k, v in arrays.items()}, tmp_path / "m.safetensors")
    whole = rows_of(tmp_path)
    monkeypatch.setattr(scanning, "SLICE", 1024)
    cut = rows_of(tmp_path)
    for name, row in whole.items():
        assert (cut[name].low, cut[name].high) == (row.low, row.high)
        assert cut[name].rms == pytest.approx(row.rms, rel=1e-12)
        assert cut[name].outliers == row.outliers
        for text in row.sqnr:
            assert cut[name].sqnr[text] == pytest.approx(row.sqnr[text], abs=1e-6)
    assert whole["scalar"].high == 2.5


def test_nan_infinities_integers_and_nothing(tmp_path):
    tensors = {
        "nan": torch.tensor([[1.0, torch.nan], [torch.inf, -2.0]], dtype=torch.bfloat16),
        "all": torch.full((4, 4), torch.nan),
        "ids": torch.arange(4),
        "empty": torch.zeros(0, 4),
        "f8": torch.tensor([0.5, 448.0]).to(torch.float8_e4m3fn),
    }
    save_torch(tensors, tmp_path / "m.safetensors")
    rows = rows_of(tmp_path)
    assert (rows["nan"].nan, rows["nan"].infinite) == (1, 1)
    assert (rows["nan"].low, rows["nan"].high) == (-2.0, 1.0)
    assert (rows["all"].nan, rows["all"].rms, rows["all"].outliers) == (16, 0.0, ())
    assert not rows["ids"].broken
    assert rows["empty"].rms == 0
    assert rows["f8"].high == 448
    text = scan_tables.scan_text(list(rows.values()), scanning.SCHEMES)
    assert text.splitlines()[-1] == "NaN or infinities in all, nan"


def test_what_was_planted_is_found(tmp_path):
    synthetic.write(tmp_path, synthetic.plan(8 << 20, 2 << 20, nan=True))
    rows = rows_of(tmp_path)
    assert [name for name, row in rows.items() if row.broken] == [synthetic.BROKEN]
    assert rows[synthetic.BROKEN].nan == 3
    assert rows[synthetic.LATTICE].lattice.short == "g32, 15 levels"
    assert sum(row.lattice is not None for row in rows.values()) == 1
    outliers = rows[synthetic.OUTLIERS].outliers
    width = rows[synthetic.OUTLIERS].shape[1]
    assert sorted(one.channel for one in outliers) == synthetic.outlier_columns(width).tolist()
    assert not any(row.outliers for name, row in rows.items() if name != synthetic.OUTLIERS)


def test_memory_does_not_grow_with_the_checkpoint(tmp_path):
    synthetic.write(tmp_path, synthetic.plan(64 << 20, 16 << 20, "f32"))
    code = (
        "import sys; from workbench import models; from workbench.models.scan import *\n"
        "checkpoint = models.tensors(sys.argv[1])\n"
        "list(scan(checkpoint, names=list(checkpoint)[:12])); before = peak_memory()\n"
        "rows = list(scan(checkpoint)); print(checkpoint.nbytes, peak_memory() - before)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    nbytes, grown = map(int, done.stdout.split())
    assert nbytes > 60 << 20
    assert grown < nbytes / 2


def test_a_synthetic_checkpoint_is_the_same_twice_and_opens(tmp_path):
    plan = synthetic.plan(3 << 20, 1 << 20, "f16", seed=4)
    first, second = (synthetic.write(tmp_path / name, plan).parent for name in "ab")
    names = sorted(file.name for file in first.iterdir())
    assert len(names) == len(plan.shards) + 1
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    checkpoint = models.tensors(first)
    assert checkpoint.nbytes == plan.nbytes
    assert abs(plan.nbytes / (3 << 20) - 1) < 0.125
    assert all(np.isfinite(checkpoint[name]).all() for name in checkpoint)


def test_bad_plans_and_places_are_refused(folder, tmp_path, monkeypatch):
    with pytest.raises(WorkbenchError, match="a megabyte is the least"):
        synthetic.plan(1000)
    with pytest.raises(WorkbenchError, match="write 'bf16'"):
        synthetic.plan(4 << 20, dtype="bf61")
    plan = synthetic.plan(1 << 20)
    with pytest.raises(WorkbenchError, match="a checkpoint in it already"):
        synthetic.write(folder, plan)
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbenchError, match="cannot be written"):
        synthetic.write(tmp_path / "file" / "inner", plan)
    with pytest.raises(WorkbenchError, match="are free there"):
        synthetic.write(tmp_path / "new", synthetic.plan(10**15, 10**14))
    for text in ("much", "4XB", ""):
        with pytest.raises(WorkbenchError, match="write 64MB or 4GB"):
            scan_tables.parse_size(text)


def test_a_truncated_shard_is_refused_before_anything_is_read(folder):
    shard = sorted(folder.glob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(WorkbenchError, match=rf"{shard.name} → it is truncated"):
        models.tensors(folder)


def test_schemes_that_slices_cannot_answer_are_refused(folder):
    with pytest.raises(WorkbenchError, match="cut tiles"):
        scan(models.tensors(folder), ["int8/t16x16"])
    with pytest.raises(WorkbenchError, match="no longer has"):
        scan(models.tensors(folder), ["bitmod3/g128"])
    with pytest.raises(WorkbenchError):
        scan(models.tensors(folder), ["int99"])


def test_the_commands_print_tables(folder, capsys):
    assert cli.main(["models", "show", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "tensors, " in shown
    assert "Every group of 32 values" in shown
    assert cli.main(["models", "show", str(folder), synthetic.OUTLIERS]) == 0
    assert "times the median column" in capsys.readouterr().out
    assert cli.main(["models", "scan", str(folder), "--schemes", "mxfp4"]) == 0
    scanned = capsys.readouterr().out
    assert "mxfp4 dB" in scanned.splitlines()[0]
    assert f"NaN or infinities in {synthetic.BROKEN}" in scanned
    assert "peak memory" in scanned.splitlines()[-1]
    assert cli.main(["models", "scan", str(folder), "--json"]) == 0
    records = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert records[synthetic.BROKEN]["broken"]
    assert records[synthetic.BROKEN]["sqnr"]["mxfp4"] == "-inf"
    assert "4 bits" in records[synthetic.LATTICE]["lattice"]
    assert cli.main(["models", "show", str(folder), "lm_haed"]) == 2


def test_the_command_writes_a_synthetic_checkpoint(tmp_path, capsys):
    sizes = ["--size", "2MB", "--shard", "1048576"]
    assert cli.main(["models", "synthetic", str(tmp_path / "new"), *sizes]) == 0
    assert "model.safetensors.index.json" in capsys.readouterr().out
    assert len(models.tensors(tmp_path / "new")) > 8


def test_an_interrupt_leaves_what_was_seen(folder, capsys, monkeypatch):
    whole = scanning.scan

    def interrupted(*arguments, **options):
        rows = whole(*arguments, **options)
        yield next(rows)
        yield next(rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(scanning, "scan", interrupted)
    assert cli.main(["models", "scan", str(folder)]) == 130
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("model.embed_tokens.weight")
    assert lines[-2].startswith("cancelled after 2 of ")


def test_aliases_are_told(capsys, tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(4, 4))
    module.append(module[0])
    checkpoint = models.from_module(module)
    assert scan_tables._notes(checkpoint.info("0.weight")) == "also 1.weight"
    assert [row.name for row in scan(checkpoint)] == ["0.weight", "0.bias"]
