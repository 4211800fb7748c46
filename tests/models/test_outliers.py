"""Outlier channels are found without being told: planted ones, massive ones, and for how long."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models.outliers import Outlier, find_outliers
from workbench.models.twin import outlier_channels

PLACES = {"self_attn.q_proj": "input_layernorm", "mlp.gate_proj": "post_attention_layernorm"}
PLACES |= {"mlp.down_proj": "up_proj"}


@pytest.fixture(scope="module")
def twin():
    return find_outliers(models.open_model("reference-twin"), models.held_out_text(), 1024)


def test_only_planted_channels_are_found(twin):
    widths = {"mlp.down_proj": 512}
    assert len(twin) > 40
    for one in twin:
        linear = one.name.partition(f"layers.{one.layer}.")[2]
        width = widths.get(linear, 256)
        planted = outlier_channels(one.layer, PLACES[linear], width)
        assert (one.place, one.channel in planted) == ("input", True)
        assert one.ratio >= 20


def test_nearly_every_planted_channel_is_found_at_half_the_threshold():
    model = models.open_model("reference-twin")
    found = find_outliers(model, models.held_out_text(), 1024, threshold=10)
    seen = {(one.name, one.channel) for one in found}
    planted = {
        (f"layers.{layer}.{linear}", int(channel))
        for layer in range(4)
        for linear, place in PLACES.items()
        for channel in outlier_channels(layer, place, 512 if place == "up_proj" else 256)
    }
    assert len(planted & seen) >= 0.95 * len(planted)


def test_layers_that_read_the_same_input_are_one_row(twin):
    names = {one.name: one.readers for one in twin}
    assert names["layers.0.self_attn.q_proj"] == tuple(
        f"layers.0.self_attn.{name}_proj" for name in "kv"
    )
    assert names["layers.0.mlp.gate_proj"] == ("layers.0.mlp.up_proj",)
    assert names["layers.0.mlp.down_proj"] == ()
    assert not any(name.endswith(("k_proj", "v_proj", "up_proj")) for name in names)


class Block(nn.Module):
    def __init__(self, write=None):
        super().__init__()
        self.linear = nn.Linear(16, 16, bias=False)
        nn.init.zeros_(self.linear.weight)
        self.write = write

    def forward(self, x):
        x = x + self.linear(x)
        if self.write is not None:
            channel, position, value = self.write
            x[:, position : position + 1, channel] += value
        return (x,)


class Network(nn.Module):
    """Channel 5 of position 2 is written by block 1 and removed by block 4; 9 is always large."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(256, 16)
        with torch.no_grad():
            self.embed.weight.normal_(generator=torch.Generator().manual_seed(0))
            self.embed.weight.clamp_(-2, 2)[:, 9] = 80
        steps = [None, (5, 2, 1000.0), None, None, (5, 2, -1000.0), None]
        self.blocks = nn.ModuleList(Block(step) for step in steps)

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            (x,) = block(x)
        return x


@pytest.fixture
def planted():
    return dataclasses.replace(models.open_model("reference"), module=Network())


def test_a_residual_channel_is_one_row_with_the_blocks_that_carry_it(planted):
    found = find_outliers(planted, models.held_out_text()[:500], window=50)
    residual = {one.channel: one for one in found if one.place == "residual"}
    assert set(residual) == {5, 9}
    massive, steady = residual[5], residual[9]
    assert (massive.name, massive.layer, massive.carried) == ("blocks.1", 1, 2)
    assert massive.where == "always position 2"
    assert massive.share == pytest.approx(1 / 50)
    assert massive.largest == pytest.approx(1000, abs=5)
    assert massive.windows == 10
    assert (steady.layer, steady.carried, steady.where) == (0, 5, "most tokens (100%)")
    inputs = [one.name for one in found if (one.place, one.channel) == ("input", 5)]
    assert inputs == ["blocks.2.linear", "blocks.3.linear", "blocks.4.linear"]
    assert "carried over 2 more blocks" in str(massive)
    assert [one.ratio for one in found] == sorted((one.ratio for one in found), reverse=True)


def test_one_window_does_not_say_always(planted):
    found = find_outliers(planted, "to be", window=50)
    massive = next(one for one in found if one.channel == 5)
    assert (massive.windows, massive.where) == (1, "position 2")


def test_a_channel_at_no_fixed_position_is_told_so():
    one = Outlier("input", "mlp", 0, 1, 30.0, 3.0, (4, 9), 0.25, 0.1, windows=8)
    assert one.where == "10.0% of the tokens, at no fixed position"
    assert dataclasses.replace(one, always=0.75).where == "mostly position 4"


def test_no_hook_stays_behind(planted):
    find_outliers(planted, "to be or not", window=4)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in planted.module.modules())


def test_bad_input_is_refused(planted):
    with pytest.raises(WorkbenchError, match="an empty text"):
        find_outliers(planted, "")
    for window in (0, 257):
        with pytest.raises(WorkbenchError, match=rf"window {window} → .* write 256"):
            find_outliers(planted, "to be", window=window)
    with torch.no_grad():
        planted.module.blocks[0].linear.weight.fill_(torch.nan)
    with pytest.raises(WorkbenchError, match=r"blocks\.0 → its activations hold NaN"):
        find_outliers(planted, "to be", window=4)
