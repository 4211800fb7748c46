"""Quantized training: what takes the place of rounding while weights are still learned."""

from .noise import rounded_normal, with_noise

__all__ = ["rounded_normal", "with_noise"]
