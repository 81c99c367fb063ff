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
        return isinstance(other, Generators) and not self.unlike(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def _by_name(self) -> dict[str, Any]:
        kind, keys, *rest = self.numpy
        return {
            "torch": self.torch.numpy().tobytes(),
            "numpy": (kind, keys.tobytes(), rest),
            "Python": self.python,
        }

    def unlike(self, other: Generators) -> tuple[str, ...]:
        """Return the names of those whose states differ."""
        mine, others = self._by_name, other._by_name
        return tuple(name for name in mine if mine[name] != others[name])

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
def seeded(seed: int = 0) -> Iterator[Generators]:
    """Let the generators begin anew, from the same state for one seed, and give them back as they are now.

    What it yields is the state that they begin with.
    """
    with generators_kept():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        yield Generators.now()


def lean(end: float) -> None:
    """Let Python's and numpy's generators give only the least numbers (``end`` 0) or the greatest (1) for a while.

    After 312 words they go on as usual, so that what draws until it likes a number comes to an end. Both are Mersenne
    Twisters (Matsumoto and Nishimura, 1998), whose state is 624 words that are given out one by one, tempered.
    """
    _, words, _ = random.getstate()
    key = (_GREATEST if end else 0,) * 312 + words[312:624]
    random.setstate((3, (*key, 0), None))
    np.random.set_state(("MT19937", np.array(key, dtype=np.uint32), 0, 0, 0.0))


_GREATEST = 0x12DD9BB3
"""The word that tempering makes 32 ones of."""
