"""The outlier twin: the same function with known outliers, for tests and for teaching.

A few gains of each norm and a few rows of each up-projection are multiplied by a power of two that
the next layer's columns undo. Every product keeps its bits, so the logits do too, while a scale
shared over a whole activation tensor now has to cover the outliers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

FACTOR = 64.0
CHANNELS = 4


def twin_arrays(arrays: Mapping[str, np.ndarray], layers: int, seed: int = 0) -> dict:
    """Copy the weights of a Llama-type model with outlier channels put in and undone exactly.

    `arrays` maps names such as `layers.0.mlp.up_proj.weight` to float32 `(rows, columns)`; which
    channels are scaled follows from `seed` alone, see `outlier_channels`.

    >>> ones = {name: np.ones((8, 8), np.float32) for name in touched(0)}
    >>> ones |= {f"layers.0.{n}.weight": np.ones(8, np.float32) for n in NORMS}
    >>> float(twin_arrays(ones, 1)["layers.0.input_layernorm.weight"].max())
    64.0
    """
    twin = {name: np.array(array) for name, array in arrays.items()}
    for layer in range(layers):
        start = f"layers.{layer}."
        for norm, readers in NORMS.items():
            gains = twin[f"{start}{norm}.weight"]
            chosen = outlier_channels(layer, norm, len(gains), seed)
            gains[chosen] *= FACTOR
            for reader in readers:
                twin[f"{start}{reader}.weight"][:, chosen] /= FACTOR
        rows = twin[f"{start}mlp.up_proj.weight"]
        chosen = outlier_channels(layer, "up_proj", len(rows), seed)
        rows[chosen] *= FACTOR
        twin[f"{start}mlp.down_proj.weight"][:, chosen] /= FACTOR
    return twin


NORMS = {
    "input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj"),
}


def outlier_channels(layer: int, place: str, width: int, seed: int = 0) -> np.ndarray:
    """The channels that the twin scales at a place of a layer, int64 `(4,)`, ascending.

    `place` is `"input_layernorm"`, `"post_attention_layernorm"` or `"up_proj"`.

    >>> len(outlier_channels(0, "up_proj", 512))
    4
    """
    number = [*NORMS, "up_proj"].index(place)
    generator = np.random.default_rng([seed, layer, number])
    return np.sort(generator.choice(width, CHANNELS, replace=False))


def touched(layer: int) -> list[str]:
    """Names of the matrices of a layer that the twin rewrites.

    >>> touched(0)[-1]
    'layers.0.mlp.down_proj.weight'
    """
    readers = [reader for readers in NORMS.values() for reader in readers]
    return [f"layers.{layer}.{name}.weight" for name in [*readers, "mlp.down_proj"]]
