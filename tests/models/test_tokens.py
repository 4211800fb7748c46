"""Vocabularies from GGUF metadata cut text as the package or a direct search would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.models.tokens import CUTS, Bytes, from_gguf

PIECES = {"<unk>": 0.0, "<s>": 0.0, "</s>": 0.0}
PIECES |= {f"<0x{byte:02X}>": 0.0 for byte in range(256)}
PIECES |= {"▁": -9.0, "a": -8.0, "b": -7.0, "▁a": -1.0, "ab": -2.0, "ba": -2.5, "aba": -0.5}
PIECES |= {"▁ab": -1.5, "bb": -3.0, "abab": -0.2}
TYPES = [2, 3, 3] + [6] * 256 + [1] * (len(PIECES) - 259)


def sentence_piece(**changes):
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": list(PIECES),
        "tokenizer.ggml.scores": list(PIECES.values()),
        "tokenizer.ggml.token_type": TYPES,
    }
    return from_gguf(metadata | changes)


def merged(text: str) -> list[int]:
    """SentencePiece BPE by its definition: join the neighbours whose piece scores highest."""
    numbers = {piece: number for number, piece in enumerate(PIECES)}
    parts = list("▁" + text.replace(" ", "▁"))
    while True:
        pairs = [(PIECES.get(parts[i] + parts[i + 1]), -i) for i in range(len(parts) - 1)]
        pairs = [(score, at) for score, at in pairs if score is not None]
        if not pairs:
            break
        at = -max(pairs)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    found = []
    for part in parts:
        spelt = [f"<0x{byte:02X}>" for byte in part.encode()]
        found += [numbers[part]] if part in numbers else [numbers[byte] for byte in spelt]
    return found


@given(st.text("ab c\n", min_size=1, max_size=24))
def test_sentence_pieces_join_by_score(text):
    tokenizer = sentence_piece()
    assert tokenizer.encode(text) == merged(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_bytes_that_are_no_piece_stand_alone_and_come_back():
    tokenizer = sentence_piece()
    text = "ab été — 日本"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode(text.encode()) == tokenizer.encode(text)


def test_a_prefix_may_be_left_out():
    key = {"tokenizer.ggml.add_space_prefix": False}
    first = sentence_piece(**key).encode("ab")
    assert first == [list(PIECES).index("ab")]
    assert sentence_piece(**key).decode(first) == "ab"


def byte_level(cut, **changes):
    from tokenizers.pre_tokenizers import ByteLevel

    symbols = sorted(ByteLevel.alphabet())
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": cut,
        "tokenizer.ggml.tokens": [*symbols, "12", "123", "1234", "Ġa"],
        "tokenizer.ggml.merges": ["1 2", "12 3", "123 4", "Ġ a"],
    }
    return from_gguf(metadata | changes)


@pytest.mark.parametrize(
    ("cut", "pieces"),
    [("gpt-2", 1), ("smollm", 4), ("llama-bpe", 2), ("qwen2", 4)],
)
def test_digits_are_cut_as_the_name_says(cut, pieces):
    assert len(byte_level(cut).encode("1234")) == pieces


@pytest.mark.parametrize("cut", CUTS)
def test_every_text_comes_back(cut):
    tokenizer = byte_level(cut)
    text = "It's  A\n\n test:\t12345 été 日本 <a>  "
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_what_is_not_known_is_refused():
    with pytest.raises(WorkbenchError, match="cut as 'tekken' → known cuts are gpt-2"):
        byte_level("tekken")
    with pytest.raises(WorkbenchError, match="vocabulary 'bert'"):
        from_gguf({"tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": ["a"]})
    with pytest.raises(WorkbenchError, match="vocabulary None"):
        from_gguf({})
    with pytest.raises(WorkbenchError, match="have 1 scores"):
        sentence_piece(**{"tokenizer.ggml.scores": [0.0]})


def test_bytes_that_are_no_text_are_shown_as_such():
    assert Bytes().decode([0xFF, 65]) == "\ufffdA"
