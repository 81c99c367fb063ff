"""How a test ended that has no verdict to show for it, or was cut short after some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EndingKind = Literal["refused", "skipped", "failed", "error", "not judged"]
"""``refused``: the backend can't build or run the model. ``failed``: the test's own body. ``error``: anything else."""
NOT_JUDGED: EndingKind = "not judged"
"""A test that passed, and that no mark asks a verdict for."""


@dataclass(frozen=True)
class Ending:
    """``reason`` is one line for the user."""

    kind: EndingKind
    reason: str
