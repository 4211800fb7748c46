"""STREAM64: the task, runs that repeat, and the order of published ways to train on it.

Losses are the mean of three seeds after 800 steps, on 2000 rows held out.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import workbench as wb
from workbench.training import papers, stream
from workbench.training.linear import PLAIN, Quantizers
from workbench.training.loop import score, train

INT3 = Quantizers(weight="int3/channel")


def test_the_task_is_fixed_and_its_fifth_feature_is_wide():
    x, y = stream.held_out()
    assert x.shape == (2000, 64)
    assert x.std(0).argmax() == 5
    assert x[:, 5].std() == pytest.approx(6, rel=0.05)
    assert x[:, torch.arange(64) != 5].std() == pytest.approx(1, rel=0.01)
    assert set(y.tolist()) == set(range(10))
    assert torch.equal(y, stream.labels(x))


def test_every_step_has_fresh_rows_and_a_seed_is_a_stream():
    drawn = [x for x, _ in stream.batches((0, 1), steps=60)]
    again = [x for x, _ in stream.batches((0, 1), steps=60)]
    assert len(drawn) == 60
    assert all(torch.equal(a, b) for a, b in zip(drawn, again, strict=True))
    rows = torch.cat([x.flatten(0, 1) for x in drawn])
    assert torch.unique(rows[:, 0]).numel() > 0.99 * len(rows)


def _weights(quantizers: Quantizers, threads: int, steps: int = 30) -> list[torch.Tensor]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        model, _ = stream.run(quantizers, (0, 1), steps)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    return [p.detach() for p in model.parameters()]


@pytest.mark.parametrize("quantizers", [PLAIN, Quantizers.all("int8/tensor")], ids=str)
def test_a_run_gives_the_same_bits_on_any_number_of_threads(quantizers):
    state = torch.get_rng_state()
    one, two = _weights(quantizers, 1), _weights(quantizers, 2)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_networks_side_by_side_learn_what_each_learns_alone():
    together, scores = stream.run(seeds=(3, 4), steps=40)
    for i, seed in enumerate((3, 4)):
        alone, (single,) = stream.run(seeds=(seed,), steps=40)
        torch.testing.assert_close(
            together.first.weight[i], alone.first.weight[0], atol=1e-4, rtol=0
        )
        assert scores[i].loss == pytest.approx(single.loss, abs=1e-3)


def test_a_network_that_diverges_says_so():
    model = stream.Network(seeds=(0, 1))
    model.first.weight.data[0] = torch.nan
    losses = train(model, stream.batches((0, 1), 3), 3, 1e-3, replicas=2)
    assert len(losses) == 3
    assert np.isfinite(losses[-1]).tolist() == [False, True]
    scores = score(model, *stream.held_out())
    assert np.isfinite([s.loss for s in scores]).tolist() == [False, True]
    model.first.weight.data[:] = torch.nan
    assert len(train(model, stream.batches((0, 1), 3), 3, 1e-3, replicas=2)) == 1


def test_float32_learns_the_task(loss):
    assert loss() == pytest.approx(0.77, abs=0.02)


class TestTriLM:
    """[83] Trained ternary weights lie between three-bit and binary ones."""

    def test_the_order_of_widths(self, loss):
        float32, int3, ternary, binary = map(loss, (PLAIN, INT3, papers.trilm(), papers.bilm()))
        assert float32 < int3 <= ternary + 0.01 < binary - 0.01

    def test_training_ternary_weights_beats_rounding_trained_ones(self, trained):
        x, y = stream.held_out()
        plain, _ = trained(PLAIN)
        rounded = stream.Network(papers.trilm())
        rounded.load_state_dict(plain.state_dict())
        afterwards = np.mean([s.accuracy for s in score(rounded, x, y)])
        learned = np.mean([s.accuracy for s in trained(papers.trilm())[1]])
        assert learned > afterwards + 0.02

    @pytest.mark.parametrize("shards", [1, 2, 4])
    def test_a_scale_for_each_shard_gives_that_many_magnitudes(self, shards):
        w = np.random.default_rng(0).standard_normal((128, 96)).astype(np.float32)
        y = wb.scheme(f"ternary/t{128 // shards}x96@absmean").round(w)
        assert np.unique(np.abs(y)).size == 1 + shards


class TestDynamicFixedPoint:
    """[16] One exponent for a tensor, in all three products."""

    def test_sixteen_bits_train_like_float32_and_six_do_not(self, loss):
        plain = loss()
        assert abs(loss(papers.dynamic_fixed_point(16)) - plain) <= 0.01
        assert loss(papers.dynamic_fixed_point(6)) - plain >= 0.1


class TestBitReduction:
    """[5] Operands of all three products masked and clipped, without a scale."""

    def test_the_last_mantissa_bits_cost_the_most(self, loss):
        m7, m1, m0 = (loss(papers.bit_reduction(8, m)) for m in (7, 1, 0))
        assert m0 - m7 >= 0.10
        assert m1 - m7 >= 0.03

    def test_exponent_bits_cost_more_than_mantissa_bits(self, trained):
        """Five exponent bits less do more harm than no mantissa at all; one seed."""
        _, (narrow,) = stream.run(papers.bit_reduction(3, 7), seeds=(0,))
        assert narrow.loss > trained(papers.bit_reduction(8, 0))[1][0].loss + 0.1
