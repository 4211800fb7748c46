"""The tuning as data: its text, its words, and what does not go together."""

from __future__ import annotations

import pytest

from workbench.errors import WorkbenchError
from workbench.quantizers import Recipe, part
from workbench.quantizers.tunings import Distill, Tuning


def test_a_tuning_is_a_part_of_its_own_kind():
    found = part("distill(norms+biases,loss=kl,steps=50)", "tuning")
    assert isinstance(found, Tuning)
    assert found == Distill("norms+biases", "kl", 50)
    assert part(found.json()) == found
    with pytest.raises(WorkbenchError, match="it is a tuning, not a solver"):
        part("distill", "solver")


def test_the_order_of_words_does_not_matter():
    assert Distill("biases + clips+channels") == Distill("channels+clips+biases")
    assert Distill("biases+norms").trained == ("norms", "biases")
    assert str(Distill("biases+norms")) == "distill"


def test_a_recipe_holds_tunings_in_their_order():
    text = "w=int4/channel distill(train=clips,steps=9) distill(train=norms,steps=9)"
    recipe = Recipe.parse(text)
    assert str(recipe) == text
    assert Recipe.from_json(recipe.json()) == recipe
    assert recipe.digest != Recipe.parse("w=int4/channel").digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("distill(weights)", "thing to train"),
        ("distill(norms+)", "thing to train"),
        ("distill(norm)", "norms"),
        ("distill(loss=cosine)", "loss"),
        ("distill(scales+clips)", "codes that stay"),
        ("distill(channels+scales+norms)", "codes that stay"),
        ("distill(steps=0)", "counts from 1"),
        ("distill(rate=0)", "above 0"),
        ("distill(top=0)", "counts from 1"),
        ("distill(rate=nan)", "above 0"),
    ],
)
def test_what_cannot_be_is_said(text, message):
    with pytest.raises(WorkbenchError, match=message):
        part(text)
