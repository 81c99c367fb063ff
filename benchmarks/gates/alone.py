"""What a call takes when nothing else runs in its process.

``python -m benchmarks.gates.alone MODEL BACKEND CACHE`` answers every line that it reads with the median of 50 ms of
bursts, in ns.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch

from benchmarks.gates.stable import Stable
from pytest_cpuaccel.measure.latency.turn import Burst, TimedCall, burst_for, settle, take_turn
from pytest_cpuaccel.measure.latency.undisturbed import no_collection
from pytest_cpuaccel.measure.latency.warmup import warm_up

_LEAST_S = 0.05
_WARMUP_CAP_S = 3.0


@contextlib.contextmanager
def alone(model: str, backend: str, cache: Path) -> Iterator[Callable[[], float]]:
    """Yield a function that has a call timed in a process of its own, which sleeps between two such questions."""
    command = [sys.executable, "-m", "benchmarks.gates.alone", model, backend, str(cache.absolute())]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        questions, answers = child.stdin, child.stdout
        assert questions
        assert answers

        def ns() -> float:
            questions.write("\n")
            questions.flush()
            return float(answers.readline())

        yield ns


def _time(call: TimedCall, burst: Burst) -> float:
    ends = time.monotonic() + _LEAST_S
    settle(call, burst)
    bursts_ns = [take_turn(call, burst).wall_ns]
    while time.monotonic() < ends:
        bursts_ns.append(take_turn(call, burst).wall_ns)
    return median(bursts_ns)


def _answer(call: TimedCall) -> None:
    with no_collection():
        burst = burst_for(warm_up(call, _WARMUP_CAP_S))
        for _ in sys.stdin:
            print(_time(call, burst), flush=True)


if __name__ == "__main__":
    with contextlib.ExitStack() as opened, torch.no_grad():
        _answer(Stable(Path(sys.argv[3])).bare_call(sys.argv[1], sys.argv[2], opened))
