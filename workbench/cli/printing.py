"""What commands print for other programs."""

from __future__ import annotations

import json


def print_json(value: object) -> None:
    """Print plain data as JSON."""
    print(json.dumps(value, indent=2))
