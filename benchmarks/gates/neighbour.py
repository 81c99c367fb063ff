"""A noisy neighbour: a process that burns a processor in phases of random length and rests in between.

Run as ``python -m benchmarks.gates.neighbour PARENT_ID`` it burns until its parent is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SHORTEST_S, LONGEST_S = 0.05, 2.0
"""Phases are between these, evenly on a logarithmic scale."""

SETTLE_S = 1.0
_PR_SET_PDEATHSIG = 1


@contextlib.contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Have so many neighbours; they are gone afterwards, and when this process dies in whatever way."""
    command = [sys.executable, "-m", "benchmarks.gates.neighbour", str(os.getpid())]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with contextlib.ExitStack() as started:
        for _ in range(count):
            child = subprocess.Popen(command, cwd=Path(__file__).parents[2], env=environment)
            started.callback(child.wait)
            started.callback(child.kill)
        if count:
            time.sleep(SETTLE_S)
        yield


def _burn_and_rest() -> None:
    matrix = np.random.default_rng(0).random((128, 128))
    while True:
        ends = time.perf_counter() + _phase_s()
        while time.perf_counter() < ends:
            matrix @ matrix
        time.sleep(_phase_s())


def _phase_s() -> float:
    return math.exp(random.uniform(math.log(SHORTEST_S), math.log(LONGEST_S)))


def _die_with(parent: int) -> None:
    """Ask the kernel (Linux, prctl(2)) to end this process with its parent, which may be gone already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()


if __name__ == "__main__":
    _die_with(int(sys.argv[1]))
    _burn_and_rest()
