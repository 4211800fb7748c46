"""A task for embeddings: short texts of words as rare as those of a language, to be classified.

Words are drawn by Zipf's law, so that most rows of the table seldom see a gradient and second
moments lie many powers of ten apart, which is what stored optimizer states have to hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .loop import MakeOptimizer, Score, score, train

WORDS, LENGTH, WIDTH, CLASSES = 2000, 4, 16, 10
STEPS, BATCH, RATE, HELD_OUT = 400, 512, 2e-2, 4000


def texts(count: int, generator: torch.Generator) -> Tensor:
    """Word numbers (count, 4), int64: the word of rank k is drawn with a chance of 1 / k.

    Example:
        >>> words = texts(1000, torch.Generator().manual_seed(0))
        >>> bool(8 < (words == 0).sum() / (words == 9).sum() < 12)
        True
    """
    chances = 1 / torch.arange(1, WORDS + 1, dtype=torch.float64)
    drawn = torch.multinomial(chances, count * LENGTH, replacement=True, generator=generator)
    return drawn.view(count, LENGTH)


@cache
def _votes() -> Tensor:
    """How much each word speaks for each class."""
    return torch.randn(WORDS, CLASSES, generator=torch.Generator().manual_seed(0))


def labels(words: Tensor) -> Tensor:
    """The class (n,) that the words of each text (n, 4) vote for.

    Example:
        >>> labels(torch.tensor([[0, 1, 2, 3]])).shape
        torch.Size([1])
    """
    return _votes()[words].sum(1).argmax(1)


def batches(seed: int = 0, steps: int = STEPS) -> Iterator[tuple[Tensor, Tensor]]:
    """Fresh texts (512, 4) and their classes for every step.

    Example:
        >>> [tuple(words.shape) for words, _ in batches(steps=2)]
        [(512, 4), (512, 4)]
    """
    generator = torch.Generator().manual_seed(1000 + seed)
    for _ in range(steps):
        words = texts(BATCH, generator)
        yield words, labels(words)


class StableEmbedding(nn.Embedding):
    """An embedding that begins uniform (Xavier) and whose rows pass a layer norm.

    Source: Dettmers et al. 2022, who keep its optimizer states in 32 bits besides.

    Example:
        >>> row = StableEmbedding(100, 16)(torch.tensor([3]))
        >>> bool(row.mean().abs() < 1e-6), round(row.std(correction=0).item(), 2)
        (True, 1.0)
    """

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        nn.init.xavier_uniform_(self.weight)

    def forward(self, words: Tensor) -> Tensor:
        """Rows (..., width), each with mean 0 and variance 1."""
        return F.layer_norm(super().forward(words), (self.embedding_dim,))


class Classifier(nn.Module):
    """The sum of a text's embedded words, read by a linear layer.

    Args:
        seed: of the weights.
        embedding: `torch.nn.Embedding` or `StableEmbedding`.

    Example:
        >>> Classifier()(torch.zeros(5, 4, dtype=torch.int64)).shape
        torch.Size([5, 10])
    """

    def __init__(self, seed: int = 0, embedding: type[nn.Embedding] = nn.Embedding) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding = embedding(WORDS, WIDTH)
            self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, words: Tensor) -> Tensor:
        """Logits (n, 10) of texts (n, 4)."""
        return self.head(self.embedding(words).sum(1))


def run(
    optimizer: MakeOptimizer,
    seed: int = 0,
    steps: int = STEPS,
    embedding: type[nn.Embedding] = nn.Embedding,
) -> Score:
    """The held-out score of a classifier trained by an optimizer, made from parameters and rate.

    Example:
        >>> from workbench.training import Adam8bit
        >>> run(Adam8bit, steps=2).loss > 2
        True
    """
    model = Classifier(seed, embedding)
    train(model, batches(seed, steps), steps, RATE, optimizer, seed=seed)
    words = texts(HELD_OUT, torch.Generator().manual_seed(1))
    return score(model, words, labels(words))
