"""What a model is asked to do: a phase, a batch and how many tokens."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import WorkbenchError, unknown

PHASES = ("prefill", "decode", "train")


@dataclass(frozen=True)
class Workload:
    """One step of a model.

    Args:
        phase: "prefill" reads `tokens` of each sequence at once; "decode" adds `speculative` tokens
            to a context of `tokens`; "train" goes forward and back over `tokens`, and updates.
        batch: sequences.
        tokens: of each sequence; what decoding already has behind it.
        speculative: drafted tokens that a decoding step checks at once, 1 without a draft.
        fused: whether attention keeps its scores on the chip, and skips those it masks.

    Sizes below 1, or an unknown phase, raise `WorkbenchError`.

    Example:
        >>> Workload("decode", batch=8, tokens=2048).rows
        8
    """

    phase: str = "decode"
    batch: int = 1
    tokens: int = 2048
    speculative: int = 1
    fused: bool = True

    def __post_init__(self):
        if self.phase not in PHASES:
            raise unknown("phase", self.phase, PHASES)
        for name in ("batch", "tokens", "speculative"):
            if getattr(self, name) < 1:
                raise WorkbenchError(
                    f"{name} {getattr(self, name)}", "a step has one or more", f"write {name}=1"
                )
        if self.speculative > 1 and self.phase != "decode":
            raise WorkbenchError(
                f"speculative {self.speculative} in {self.phase}", "drafts are checked in decoding",
                "write phase=decode, or speculative=1",
            )  # fmt: skip

    @property
    def queries(self) -> int:
        """Tokens of each sequence that pass through the layers."""
        return self.speculative if self.phase == "decode" else self.tokens

    @property
    def rows(self) -> int:
        """Tokens of all sequences that pass through the layers."""
        return self.batch * self.queries

    @property
    def seen(self) -> int:
        """Keys of each sequence once the step is done."""
        return self.tokens + self.speculative if self.phase == "decode" else self.tokens

    def pairs(self, window: int = 0, causal: bool = True) -> int:
        """Pairs of a query and a key of one sequence and head that are multiplied.

        Args:
            window: keys that a query sees; 0 for all.
            causal: whether it sees those after it.

        Example:
            >>> Workload("prefill", tokens=4).pairs(), Workload("prefill", tokens=4).pairs(2)
            (10, 7)
        """
        if not causal or not self.fused:
            return self.queries * self.keys(window)
        last, reach = self.seen, window or self.seen
        first = last - self.queries  # keys before the first query
        short = max(0, min(last, reach) - first)  # queries that see all keys up to their own
        return short * first + short * (short + 1) // 2 + (self.queries - short) * reach

    def keys(self, window: int = 0) -> int:
        """Keys of one sequence that are read: those that any query sees."""
        return min(self.seen, window + self.queries - 1) if window else self.seen
