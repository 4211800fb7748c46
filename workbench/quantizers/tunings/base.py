"""What a tuning is: plain data on a stage that sees the whole model, carried out where models are.

The other parts of a recipe work on one layer. What is left free after them is trained against the
float model by `workbench.models.tune`.
"""

from __future__ import annotations

from typing import ClassVar

from ..parts import Part


class Tuning(Part):
    """A way to train what the layers' codes leave free."""

    kind: ClassVar[str] = "tuning"
