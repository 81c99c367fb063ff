"""Where generated texts end."""

from __future__ import annotations

from collections.abc import Collection

import torch


def within_text(ids: torch.Tensor, start: int, ends: Collection[int]) -> torch.Tensor:
    """Return which of the tokens from ``start`` on stand in the text of their row, as bools (rows, length - start).

    A text ends with the first generated token that is one of ``ends``; what comes after is padding.
    """
    generated = ids[:, start:]
    is_end = torch.isin(generated, torch.tensor(sorted(ends), dtype=generated.dtype))
    return is_end.cumsum(1) - is_end.long() == 0
