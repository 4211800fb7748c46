"""Text to token numbers and back: bytes, and the vocabularies that checkpoints bring along.

Vocabularies run in the package `tokenizers`, whether they come from a `tokenizer.json` or from the
metadata of a GGUF file; nothing is looked up anywhere else. Pre-tokenizers of GGUF follow the names
that llama.cpp gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from workbench.errors import WorkbenchError
from workbench.models import extras

KEYS = {
    f"tokenizer.ggml.{name}": name for name in ("tokens", "token_type", "merges", "scores", "pre")
}
NORMAL, UNKNOWN, CONTROL, USER = 1, 2, 3, 4
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,%d}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# name in GGUF -> the pattern that cuts text, or None for GPT-2's; whether digits stand alone before
CUTS: dict[str, tuple[str | None, bool]] = {
    "gpt-2": (None, False),
    "smollm": (None, True),
    "starcoder": (None, True),
    "command-r": (None, True),
    "llama-bpe": (_LLAMA3 % 3, False),
    "qwen2": (_LLAMA3 % 1, False),
}


class Tokenizer(Protocol):
    """What a text model needs of its vocabulary."""

    def encode(self, text: str | bytes) -> list[int]:
        """Token numbers of a text."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token numbers."""


class Bytes:
    """One token a byte of UTF-8.

    >>> Bytes().encode("to")
    [116, 111]
    >>> Bytes().decode([116, 111])
    'to'
    """

    def encode(self, text: str | bytes) -> list[int]:
        """The bytes of a text."""
        return list(text if isinstance(text, bytes) else text.encode("utf-8"))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of bytes; a byte that is no UTF-8 becomes U+FFFD."""
        return bytes(ids).decode("utf-8", "replace")


@dataclass(frozen=True)
class Pieces:
    """A vocabulary of the package `tokenizers`.

    Args:
        inner: the `tokenizers.Tokenizer`.
        special: whether `encode` puts the model's own tokens around a text, as `[CLS]` and `[SEP]`.
    """

    inner: Any
    special: bool = False

    def encode(self, text: str | bytes) -> list[int]:
        """Token numbers; bytes are read as UTF-8, one that is none as U+FFFD."""
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return self.inner.encode(text, add_special_tokens=self.special).ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token numbers, special ones spelt out."""
        return self.inner.decode(list(ids), skip_special_tokens=False)


def from_folder(folder: Path, special: bool = False) -> Pieces:
    """The vocabulary in a folder's `tokenizer.json`; it neither cuts nor fills up texts here.

    A folder without one, or with a broken one, is a `WorkbenchError`.
    """
    tokenizers = extras.need("tokenizers", "a vocabulary")
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise WorkbenchError(
            str(folder), "it holds no tokenizer.json", "put the model's tokenizer.json beside it"
        )
    try:
        inner = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises nothing narrower
        raise WorkbenchError(
            str(path), f"it is not a vocabulary ({error})", "fetch the file again"
        ) from None
    inner.no_truncation()
    inner.no_padding()
    return Pieces(inner, special)


def from_gguf(metadata: dict) -> Pieces:
    """The vocabulary in the metadata of a GGUF file, whose arrays of `KEYS` have been read.

    Byte-level BPE (`gpt2`) and SentencePiece BPE (`llama`) are known; another one, or one that does
    not say how it cuts text, is a `WorkbenchError`.
    """
    extras.need("tokenizers", "a vocabulary")
    found = {name: metadata.get(key) for key, name in KEYS.items()}
    kind = metadata.get("tokenizer.ggml.model")
    if not found["tokens"] or kind not in ("gpt2", "llama"):
        raise WorkbenchError(
            f"a GGUF file with the vocabulary {kind!r}",
            "only byte-level (gpt2) and SentencePiece (llama) BPE are read",
            "look at its tensors with models.tensors(path)",
        )
    tokens = found["tokens"]
    types = found["token_type"] or [NORMAL] * len(tokens)
    if kind == "gpt2":
        inner = _byte_level(tokens, found["merges"] or [], found["pre"])
    else:
        prefix = metadata.get("tokenizer.ggml.add_space_prefix") is not False
        inner = _sentence_piece(tokens, found["scores"] or [], types, prefix)
    marked = list(zip(tokens, types, strict=False))
    inner.add_special_tokens([token for token, type_ in marked if type_ == CONTROL])
    inner.add_tokens([token for token, type_ in marked if type_ == USER])
    return Pieces(inner)


def _byte_level(tokens: list[str], merges: list[str], cut: str | None):
    """Byte-level BPE of GPT-2's kind, text cut as the named pre-tokenizer does."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    if cut not in CUTS:
        raise WorkbenchError(
            f"a GGUF file whose text is cut as {cut!r}",
            f"known cuts are {', '.join(CUTS)}",
            "look at its tensors with models.tensors(path)",
        )
    pattern, digits = CUTS[cut]
    steps: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    if pattern:
        steps.append(pre_tokenizers.Split(Regex(pattern), "isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None))
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    whole = cut == "llama-bpe"  # Llama 3 takes a word that is in the vocabulary as it is
    inner = Tokenizer(models.BPE(vocabulary, pairs, ignore_merges=whole))
    inner.pre_tokenizer = pre_tokenizers.Sequence(steps)
    inner.decoder = decoders.ByteLevel()
    return inner


def _sentence_piece(tokens: list[str], scores: list[float], types: list[int], prefix: bool):
    """SentencePiece BPE: the pair whose piece scores highest joins first, then bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers

    if len(scores) != len(tokens):
        raise WorkbenchError(
            "a GGUF file with a SentencePiece vocabulary",
            f"its {len(tokens)} pieces have {len(scores)} scores",
            "look at its tensors with models.tensors(path)",
        )
    normal = [i for i, type_ in enumerate(types) if type_ == NORMAL]
    merges = merges_of([tokens[i] for i in normal], [scores[i] for i in normal])
    vocabulary = {token: number for number, token in enumerate(tokens)}
    unknown = tokens[types.index(UNKNOWN)] if UNKNOWN in types else None
    inner = Tokenizer(
        models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    front = [normalizers.Prepend("▁")] if prefix else []
    inner.normalizer = normalizers.Sequence([*front, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return inner


def merges_of(tokens: Sequence[str], scores: Sequence[float]) -> list[tuple[str, str]]:
    """The merges of a SentencePiece vocabulary: every split of a piece into two, best score first.

    >>> merges_of(["a", "b", "ab", "aba"], [0.0, 0.0, -1.0, -2.0])
    [('a', 'b'), ('ab', 'a')]
    """
    numbers = {token: number for number, token in enumerate(tokens)}
    found = []
    for number, token in enumerate(tokens):
        for at in range(1, len(token)):
            left, right = numbers.get(token[:at]), numbers.get(token[at:])
            if left is not None and right is not None:
                found.append((-scores[number], left, right))
    return [(tokens[left], tokens[right]) for _, left, right in sorted(found)]
