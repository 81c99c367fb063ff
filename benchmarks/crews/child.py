"""A side in a process of its own, which is told its turns over a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_cpuaccel.measure.latency.turn import Burst, Turn


@dataclass(frozen=True)
class Subject:
    """The call that a process makes, with so many rounds of extra work, on so many threads."""

    call: str
    rounds: int
    threads: int


class ChildSide:
    """A side in a process of its own; it is started by ``exec``, and ready once it has answered."""

    def __init__(self, subject: Subject) -> None:
        arguments = [subject.call, str(subject.rounds), str(subject.threads)]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(subject.threads))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.crews.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env=os.environ | threads,
            text=True,
            bufsize=1,
        )

    def call_ns(self) -> float:
        """Make one call and return what it took."""
        return float(self._ask("call_ns"))

    def warm_up(self, cap_s: float) -> float:
        """Call until calls stop getting faster, or for ``cap_s`` seconds; return a typical call's ns."""
        return float(self._ask("warm_up", cap_s=cap_s))

    def settle(self, burst: Burst) -> None:
        """Make the untimed calls of a burst, after which a turn may be taken."""
        self._ask("settle", **asdict(burst))

    def take_turn(self, burst: Burst) -> Turn:
        """Time one burst."""
        answer = self._ask("take_turn", **asdict(burst))
        return Turn(tuple(answer.pop("calls_ns")), **answer)

    def threads_used(self, told: int) -> int | None:
        """Return how many threads a warm call runs on at once; None where that can't be known."""
        found = self._ask("threads_used", told=told)
        return None if found is None else int(found)

    def calibrated(self) -> tuple[int, float]:
        """Return how many rounds of work add 10 % to the call, and the share that they do add."""
        found = self._ask("calibrate")
        return found["rounds"], found["share"]

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, order: str, **more: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": order, **more}) + "\n")
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a process ended with exit code {self._process.wait()}")
        return json.loads(answer)
