"""The process's own generators of random numbers: torch's, numpy's and Python's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class Generators:
    """The state of all three."""

    python: Any
    numpy: Any
    torch: torch.Tensor

    @classmethod
    def now(cls) -> Generators:
        """Return their present state."""
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Generators) and self._facts == other._facts

    __hash__ = None  # type: ignore[assignment]

    @property
    def _facts(self) -> tuple[Any, ...]:
        kind, keys, *rest = self.numpy
        return self.python, kind, keys.tobytes(), rest, self.torch.numpy().tobytes()

    def restore(self) -> None:
        """Have them draw from here on what they drew after this state."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)


@contextmanager
def generators_kept() -> Iterator[None]:
    """Give the generators back in the state that they have now."""
    before = Generators.now()
    try:
        yield
    finally:
        before.restore()


@contextmanager
def seeded() -> Iterator[None]:
    """Let the generators begin anew, from the same state each time, and give them back as they are now."""
    with generators_kept():
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        yield
