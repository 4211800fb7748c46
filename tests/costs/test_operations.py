"""Operations of whole steps, held to counts by brute force and to torch's own counter."""

from itertools import product

import pytest

from workbench.costs import Architecture, Workload, architecture, operations
from workbench.errors import WorkbenchError

SMALL = Architecture("small", 2, 32, 4, 2, 8, 48, 64)


def by_part(model, work):
    return {each.part: each for each in operations(model, work)}


@pytest.mark.parametrize(
    ("queries", "past", "window"), list(product((1, 3, 7), (0, 2, 9), (0, 1, 4, 20)))
)
def test_pairs_are_those_of_a_mask(queries, past, window):
    seen = past + queries
    mask = [
        (i, j)
        for i in range(past, seen)
        for j in range(seen)
        if j <= i and (not window or i - j < window)
    ]
    phase = "decode" if past else "prefill"
    work = Workload(phase, tokens=past or queries, speculative=queries if past else 1)
    assert work.pairs(window) == len(mask)
    assert work.keys(window) >= len({j for _, j in mask})
    if not window or past >= window:
        assert work.keys(window) == len({j for _, j in mask})


def test_products_are_what_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    from workbench import models

    model = models.open_model("reference")
    ids = model.encode("to be, or not to be, that is the question")[None]
    with FlopCounterMode(display=False) as counter:
        model.run(ids)
    tokens = ids.shape[1]
    found = operations(architecture("reference"), Workload("prefill", tokens=tokens, fused=False))
    linear = sum(each.operations for each in found if each.kind == "linear")
    head = 2 * tokens * 256 * 256  # the network computes the logits of all tokens
    counted = {str(name): value for name, value in counter.get_flop_counts()["Global"].items()}
    assert linear + head == counted["aten.mm"]


def test_the_head_counts_two_operations_a_weight():
    model = architecture("llama-2-7b")
    head = by_part(model, Workload("decode", batch=3))["lm_head"]
    assert head.operations == 2 * 3 * 32000 * 4096
    assert by_part(model, Workload("prefill", 3, 2048))["lm_head"].operations == head.operations
    trained = by_part(model, Workload("train", 3, 2048))["lm_head"]
    assert trained.operations == 3 * 2048 * head.operations


def test_attention_reads_heads_of_keys_and_multiplies_heads_of_queries():
    model, work = architecture("llama-3-8b"), Workload("decode", batch=2, tokens=1000)
    attention = by_part(model, work)["self_attn.attention"]
    assert attention.cache_read == 2 * 2 * 1001 * 8 * 128
    assert attention.operations == 2 * 1001 * 32 * (4 * 128 + 5)


def test_a_step_of_decoding_writes_the_keys_and_values_of_its_tokens():
    for work in (Workload("decode", 3, 50), Workload("decode", 3, 50, speculative=4)):
        written = sum(each.cache_written for each in operations(SMALL, work))
        assert written == work.rows * SMALL.cache_values(1)


def test_a_draft_is_checked_for_little_more_than_one_token():
    model = architecture("llama-2-7b")
    one, five = (operations(model, Workload("decode", speculative=drafted)) for drafted in (1, 5))
    assert sum(each.weights for each in one) == sum(each.weights for each in five)
    linear = [sum(e.operations for e in step if e.kind == "linear") for step in (one, five)]
    assert linear[1] == 5 * linear[0]


def test_experts_are_read_as_often_as_tokens_that_choose_at_random_would():
    import numpy as np

    mixtral, tokens = architecture("mixtral-8x7b"), 5
    expert = by_part(mixtral, Workload("decode", batch=tokens))["mlp.up_proj"]
    random = np.random.default_rng(0)
    used = [
        len({e for _ in range(tokens) for e in random.choice(8, 2, replace=False)})
        for _ in range(4000)
    ]
    assert expert.copies == pytest.approx(np.mean(used), rel=0.01)
    assert expert.operations == 2 * tokens * 2 * 14336 * 4096


def test_training_costs_three_forward_passes_and_an_update():
    ahead, back = (operations(SMALL, Workload(phase, 2, 16)) for phase in ("prefill", "train"))
    linear = [sum(e.operations for e in step if e.kind == "linear") for step in (ahead, back)]
    assert linear[1] == 3 * linear[0]
    assert back[-1].extra == 26 * SMALL.parameters


def test_scores_stay_on_the_chip_only_where_attention_is_fused():
    apart = by_part(SMALL, Workload("prefill", 1, 16, fused=False))["self_attn.attention"]
    fused = by_part(SMALL, Workload("prefill", 1, 16))["self_attn.attention"]
    assert apart.scores == 4 * 4 * 16 * 16
    assert fused.scores == 0
    assert fused.operations / apart.operations == pytest.approx(17 / 32)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"phase": "decoding"}, "decode"),
        ({"batch": 0}, "batch 0"),
        ({"phase": "prefill", "speculative": 2}, "drafts are checked in decoding"),
    ],
)
def test_a_step_that_cannot_be_says_why(given, said):
    with pytest.raises(WorkbenchError, match=said):
        Workload(**given)
