"""Which wrong answers of a session are followed to the module in which they begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Localize = Literal["first", "all", "off"]


@dataclass
class Localizing:
    """``which`` is the setting; ``count`` is how many were followed."""

    which: Localize = "off"
    count: int = 0

    @property
    def is_due(self) -> bool:
        """Tell whether the next wrong answer is to be followed."""
        return self.which == "all" or (self.which == "first" and not self.count)
