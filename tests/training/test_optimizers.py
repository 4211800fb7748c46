"""Adam with stored states: what the dynamic map keeps, exactness, and training an embedding."""

from __future__ import annotations

import copy
import math
from functools import cache, partial

import numpy as np
import pytest
import torch

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.schemes import QuantizedTensor
from workbench.training import Adam8bit, zipf

STATES = {
    "float32": (None, None),
    "dynamic": ("dynamic8/b2048", "udynamic8/b2048"),
    "linear": ("int8/b2048", "uint8/b2048"),
}


class TestDynamicMap:
    """The 256 values, and what each map does to the moments of an optimizer."""

    def test_its_values(self):
        values = wb.format("dynamic8").values
        positive = values[values > 0]
        assert values.size == 256
        assert (values < 0).sum() == 127
        assert values.sum() == pytest.approx(1.0, abs=1e-6)
        assert (values[-1], values[0]) == pytest.approx((1.0, -0.99296875), abs=1e-6)
        assert positive[0] == pytest.approx(5.5e-7)
        assert wb.format("udynamic8").smallest == pytest.approx(3.25e-7)
        decades = [((positive > 10.0**-k / 10) & (positive <= 10.0**-k)).sum() for k in range(7)]
        assert decades == [65, 32, 16, 8, 4, 2, 1]

    def test_second_moments_over_many_powers_of_ten_survive_it_and_not_the_linear_map(self):
        r = np.exp(np.random.default_rng(0).normal(-12, 3, (64, 2048))).astype(np.float32)
        lost, apart = {}, {}
        for name in ("udynamic8", "uint8"):
            kept = wb.scheme(f"{name}/b2048").round(r)
            lost[name] = np.mean(kept == 0)
            apart[name] = np.median(np.abs(np.sqrt(kept) - np.sqrt(r)) / np.sqrt(r))
        assert lost["udynamic8"] == pytest.approx(0.047, abs=0.015)
        assert lost["uint8"] == pytest.approx(0.90, abs=0.02)
        assert apart["udynamic8"] == pytest.approx(0.035, abs=0.005)
        assert apart["uint8"] == 1

    def test_on_normal_values_the_linear_map_is_better(self):
        x = np.random.default_rng(0).standard_normal((512, 2048)).astype(np.float32)
        error = {
            name: np.mean((wb.scheme(f"{name}/b2048").round(x) - x) ** 2)
            for name in ("dynamic8", "int8")
        }
        assert error["dynamic8"] == pytest.approx(1.55e-4, rel=0.02)
        assert error["int8"] == pytest.approx(6.8e-5, rel=0.02)

    def test_an_outlier_spoils_its_block_and_not_the_tensor(self):
        x = np.random.default_rng(0).standard_normal(1 << 20).astype(np.float32)
        x[7] = 100
        error = {
            text: float(np.mean((wb.scheme(text).round(x) - x) ** 2))
            for text in ("int8/tensor", "int8/b2048")
        }
        assert error["int8/tensor"] == pytest.approx(0.0516, rel=0.01)
        assert error["int8/b2048"] == pytest.approx(1.7e-4, rel=0.05)


def _problem(size: int = 4096) -> tuple[torch.nn.Parameter, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(size, generator=generator)
    return torch.nn.Parameter(start.clone()), torch.randn(size, generator=generator)


def _steps(optimizer, parameter, target, count: int) -> torch.Tensor:
    for _ in range(count):
        optimizer.zero_grad()
        ((parameter - target) ** 2).sum().backward()
        optimizer.step()
    return parameter.detach().clone()


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_without_schemes_it_is_adam(decay):
    results = []
    for make in (torch.optim.AdamW, partial(Adam8bit, first=None, second=None)):
        w, target = _problem()
        results.append(_steps(make([w], lr=0.01, weight_decay=decay), w, target, 50))
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)


def test_small_tensors_stay_in_32_bits():
    w, target = _problem(4095)
    plain, _ = _problem(4095)
    stored = _steps(Adam8bit([w], lr=0.01), w, target, 20)
    optimizer = Adam8bit([plain], lr=0.01, first=None, second=None)
    assert torch.equal(stored, _steps(optimizer, plain, target, 20))
    assert optimizer.bits_per_value == 64


@pytest.mark.parametrize(("block", "bits"), [(2048, 8.015625), (256, 8.125)])
def test_states_are_packed_and_their_bits_counted(block, bits):
    w, target = _problem(1 << 16)
    optimizer = Adam8bit([w], first=f"dynamic8/b{block}", second=f"udynamic8/b{block}")
    _steps(optimizer, w, target, 2)
    for name in ("first", "second"):
        assert isinstance(optimizer.state[w][name], QuantizedTensor)
    assert optimizer.bits_per_value == 2 * bits


def test_a_step_decodes_updates_and_stores():
    w, target = _problem()
    optimizer = Adam8bit([w], lr=0.01)
    m, v = np.zeros(4096, np.float32), np.zeros(4096, np.float32)
    value = w.detach().numpy().copy()
    for step in range(1, 4):
        gradient = 2 * (value - target.numpy())
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        value -= 0.01 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        m = wb.scheme("dynamic8/b2048").round(m.astype(np.float32))
        v = wb.scheme("udynamic8/b2048").round(v.astype(np.float32))
        _steps(optimizer, w, target, 1)
        assert w.detach().numpy() == pytest.approx(value, abs=1e-5)


def test_groups_choose_their_own_states():
    table, target = _problem()
    body, _ = _problem()
    optimizer = Adam8bit(
        [{"params": [table], "first": None, "second": None}, {"params": [body]}], lr=0.01
    )
    _steps(optimizer, table, target, 1)
    _steps(optimizer, body, target, 1)
    assert isinstance(optimizer.state[table]["first"], torch.Tensor)
    assert isinstance(optimizer.state[body]["first"], QuantizedTensor)


def test_saved_states_resume_with_the_same_bits():
    w, target = _problem()
    optimizer = Adam8bit([w], lr=0.01)
    _steps(optimizer, w, target, 5)
    other = torch.nn.Parameter(w.detach().clone())
    resumed = Adam8bit([other], lr=0.01)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert torch.equal(_steps(optimizer, w, target, 5), _steps(resumed, other, target, 5))


def test_bad_schemes_and_missing_states_are_refused():
    w, _ = _problem()
    with pytest.raises(WorkbenchError, match="dynamic8"):
        Adam8bit([w], first="dynamic9/b2048")
    with pytest.raises(WorkbenchError, match=r"model\.cpu"):
        Adam8bit([torch.nn.Parameter(torch.empty(2, device="meta"))])
    with pytest.raises(WorkbenchError, match="call step"):
        _ = Adam8bit([w]).bits_per_value


@cache
def _loss(name: str, seed: int) -> float:
    first, second = STATES[name]
    return zipf.run(partial(Adam8bit, first=first, second=second), seed).loss


def _mean(name: str) -> float:
    return sum(_loss(name, seed) for seed in range(3)) / 3


class TestZipf:
    """An embedding of 2000 words drawn by Zipf's law, 400 steps, three seeds."""

    def test_dynamic_blocks_train_like_32_bits(self):
        assert abs(_mean("dynamic") - _mean("float32")) <= 0.03

    def test_linear_states_diverge(self):
        linear = _mean("linear")
        assert math.isnan(linear) or linear > 2 * _mean("float32")

    def test_words_are_as_rare_as_their_rank(self):
        words = zipf.texts(50_000, torch.Generator().manual_seed(0)).flatten()
        counts = torch.bincount(words, minlength=zipf.WORDS).double()
        ranks = torch.arange(1, zipf.WORDS + 1).double()
        share = counts / counts.sum() * ranks
        assert share[:20].mean().item() == pytest.approx(1 / (1 / ranks).sum().item(), rel=0.02)

    def test_a_stable_embedding_begins_within_its_bounds(self):
        table = zipf.StableEmbedding(2000, 16)
        limit = math.sqrt(6 / (2000 + 16))
        assert table.weight.abs().max() <= limit
        assert table.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.02)
        rows = table(torch.arange(50)).detach()
        assert rows.mean(-1).abs().max() < 1e-5
        assert (rows.var(-1, correction=0) - 1).abs().max() < 0.05
