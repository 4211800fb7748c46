"""The reference model: a byte-level Llama-type language model small enough to ship in the package.

Four layers of width 256 with RoPE, RMSNorm and SwiGLU; module names follow the Hugging Face Llama
layout without its `model.` prefix, so that recipes written for one read the same on the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ReferenceConfig:
    """Sizes of the reference model; the defaults are those of the shipped weights.

    >>> ReferenceConfig().head_size
    64
    """

    vocabulary: int = 256
    layers: int = 4
    width: int = 256
    hidden: int = 512
    heads: int = 4
    context: int = 256
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-5

    @property
    def head_size(self) -> int:
        """Width of one attention head, in channels."""
        return self.width // self.heads


class RMSNorm(nn.Module):
    """Root-mean-square normalization of the last axis followed by a gain a channel.

    Takes and gives float32 `(..., width)`. Source: Zhang and Sennrich 2019.

    >>> RMSNorm(2, 0.0)(torch.tensor([3.0, 3.0])).tolist()
    [1.0, 1.0]
    """

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Normalized `x`, same shape and dtype."""
        scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon)
        return x * scale * self.weight


class Attention(nn.Module):
    """Causal multi-head self-attention with rotary positions, `(batch, time, width)` in and out."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj = nn.Linear(config.width, config.width, bias=False)
        self.k_proj = nn.Linear(config.width, config.width, bias=False)
        self.v_proj = nn.Linear(config.width, config.width, bias=False)
        self.o_proj = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Attention of every position to itself and those before it."""
        q, k, v = (self._split(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rotate(q, cosine, sine), rotate(k, cosine, sine)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(x.shape))

    def _split(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        return x.view(batch, time, self.heads, width // self.heads).transpose(1, 2)


class FeedForward(nn.Module):
    """SwiGLU feed-forward block, `(..., width)` in and out. Source: Shazeer 2020."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.hidden, bias=False)
        self.up_proj = nn.Linear(config.width, config.hidden, bias=False)
        self.down_proj = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`down(silu(gate(x)) * up(x))`."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """One pre-norm decoder layer: attention, then feed-forward, each added to its input."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.width, config.norm_epsilon)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.width, config.norm_epsilon)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """The layer's output, same shape as `x`."""
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine)
        return x + self.mlp(self.post_attention_layernorm(x))


class ReferenceModel(nn.Module):
    """Byte-level causal language model: bytes in, logits of the next byte out.

    Takes int64 `(batch, time)` with values 0..255 and `time` at most the context; gives float32
    logits `(batch, time, 256)` in nats. A longer window is an `IndexError` of the position table.

    >>> model = ReferenceModel(ReferenceConfig(layers=1, width=8, hidden=16, heads=2))
    >>> model(torch.zeros(1, 3, dtype=torch.long)).shape
    torch.Size([1, 3, 256])
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, config: ReferenceConfig | None = None) -> None:
        super().__init__()
        config = config or ReferenceConfig()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_epsilon)
        self.lm_head = nn.Linear(config.width, config.vocabulary, bias=False)
        cosine, sine = rotary_tables(config)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the byte after each position."""
        time = tokens.shape[1]
        if time > self.config.context:
            raise IndexError(f"{time} positions, the context is {self.config.context}")
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, self.cosine[:time], self.sine[:time])
        return self.lm_head(self.norm(x))


def rotary_tables(config: ReferenceConfig) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary angles, each float32 `(context, head_size / 2)`.

    Computed in float64 and rounded once, so that the tables are the same on every machine.

    >>> [tuple(t.shape) for t in rotary_tables(ReferenceConfig())]
    [(256, 32), (256, 32)]
    """
    half = config.head_size // 2
    steps = torch.arange(half, dtype=torch.float64) / half
    angles = torch.outer(
        torch.arange(config.context, dtype=torch.float64), config.rope_base**-steps
    )
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate channel pairs `(i, i + head_size / 2)` of `x` by the angle of their position.

    `x` is `(batch, heads, time, head_size)`. Source: Su et al. 2021, Llama's half-split layout.

    >>> rotate(torch.ones(1, 1, 1, 2), torch.zeros(1, 1), torch.ones(1, 1)).flatten().tolist()
    [-1.0, 1.0]
    """
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
