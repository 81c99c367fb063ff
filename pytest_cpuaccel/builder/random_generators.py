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
        """Return the current state."""
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
        """Return the names of the generators whose states differ."""
        mine, others = self._by_name, other._by_name
        return tuple(name for name in mine if mine[name] != others[name])

    def restore(self) -> None:
        """Set the generators to this state."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)


@contextmanager
def generators_kept() -> Iterator[None]:
    """Restore the present state of the generators at the end."""
    before = Generators.now()
    try:
        yield
    finally:
        before.restore()


@contextmanager
def seeded(seed: int = 0) -> Iterator[Generators]:
    """Set the generators to the state of a seed, and restore their present state at the end.

    Yields the state of the seed.
    """
    with generators_kept():
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed seeds other devices too
        yield Generators.now()


def lean(end: float) -> None:
    """Make Python's and numpy's generators give only the least numbers (``end`` 0) or the greatest (1) for a while.

    After 312 words they go on as usual, so that code which draws until a number fits comes to an end. Both are Mersenne
    Twisters (Matsumoto and Nishimura, 1998): their state is 624 words, which are tempered and returned one by one.
    """
    _, words, _ = random.getstate()
    key = (_GREATEST if end else 0,) * 312 + words[312:624]
    random.setstate((3, (*key, 0), None))
    np.random.set_state(("MT19937", np.array(key, dtype=np.uint32), 0, 0, 0.0))


_GREATEST = 0x12DD9BB3
"""Tempering turns this word into 32 ones."""
