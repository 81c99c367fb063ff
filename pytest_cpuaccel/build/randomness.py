"""The process's own generators of random numbers: torch's, numpy's and Python's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def generators_kept() -> Iterator[None]:
    """Give the generators back in the state that they have now."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


@contextmanager
def seeded() -> Iterator[None]:
    """Let the generators begin anew, from the same state each time, and give them back as they are now."""
    with generators_kept():
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        yield
