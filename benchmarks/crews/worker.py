"""A process of a crew: takes turns as it is told by lines of JSON on its input, and answers in the same way.

Run as ``python -m benchmarks.crews.worker CALL ROUNDS THREADS``; it ends with its input.
"""

from __future__ import annotations

import gc
import json
import sys
from dataclasses import asdict
from typing import Any

import torch

from benchmarks.crews.calls import CALLS
from benchmarks.gates.scale import calibrate
from benchmarks.gates.work import Work, with_work
from pytest_cpuaccel.measure.latency.side import LocalSide
from pytest_cpuaccel.measure.latency.turn import Burst, TimedCall, Turn

SLOWDOWN = 10


def main(name: str, rounds: int, threads: int) -> None:
    """Answer until the input ends."""
    torch.set_num_threads(threads)
    with torch.inference_mode():
        call = CALLS[name]()
        side = LocalSide(with_work(call, Work(rounds)))
        gc.disable()
        for line in iter(sys.stdin.readline, ""):
            order = json.loads(line)
            answer = _calibrated(call) if order["do"] == "calibrate" else _answer(side, order)
            sys.stdout.write(f"{json.dumps(answer)}\n")
            sys.stdout.flush()


def _answer(side: LocalSide, order: dict[str, Any]) -> object:
    """What one order asks for, which names a method of the side and its arguments."""
    arguments = dict(order)
    name = arguments.pop("do")
    if name in ("settle", "take_turn"):
        arguments = {"burst": Burst(**arguments)}
    answer = getattr(side, name)(**arguments)
    return asdict(answer) if isinstance(answer, Turn) else answer


def _calibrated(call: TimedCall) -> dict[str, float]:
    """How many rounds of work add 10 % to the call, and what they do add."""
    found = next(each for each in calibrate(call, "", "") if each.slowdown == SLOWDOWN)
    return {"rounds": found.rounds, "share": found.share}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
