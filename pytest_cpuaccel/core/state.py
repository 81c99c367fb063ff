"""State among a model's outputs: what a next step needs, and no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STATE_OUTPUTS = ("past_key_values",)
"""Outputs that carry state for a next step and are no answer; transformers' Trainer leaves them out too."""


def without_state(output: Any) -> Any:
    """Return a model's output without its key/value cache."""
    if isinstance(output, Mapping) and any(name in output for name in STATE_OUTPUTS):
        answers = {name: value for name, value in output.items() if name not in STATE_OUTPUTS}
        return type(output)(**answers) if hasattr(output, "to_tuple") else answers
    return output
