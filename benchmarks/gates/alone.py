"""What a call takes when nothing else runs in its process.

Run as ``python -m benchmarks.gates.alone MODEL BACKEND CACHE`` it prints the median of 30 bursts or more, over 2 s or
more, in ns.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch

from benchmarks.gates.stable import Stable
from pytest_cpuaccel.measure.latency.quiet import no_collection
from pytest_cpuaccel.measure.latency.turn import Call, burst_for, take_turn
from pytest_cpuaccel.measure.latency.warmup import warm_up

_LEAST_S = 2.0
_LEAST_BURSTS = 30
_WARMUP_CAP_S = 3.0


def ns_alone(model: str, backend: str, cache: Path) -> float:
    """Return the median ns of a call's bursts in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.gates.alone", model, backend, str(cache.absolute())]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def _time(call: Call) -> float:
    with no_collection():
        burst = burst_for(warm_up(call, _WARMUP_CAP_S))
        ends = time.monotonic() + _LEAST_S
        bursts_ns: list[float] = []
        while len(bursts_ns) < _LEAST_BURSTS or time.monotonic() < ends:
            bursts_ns.append(take_turn(call, burst).wall_ns)
    return median(bursts_ns)


if __name__ == "__main__":
    with contextlib.ExitStack() as opened, torch.no_grad():
        print(_time(Stable(Path(sys.argv[3])).bare_call(sys.argv[1], sys.argv[2], opened)))
