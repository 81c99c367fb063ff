"""How many broken backends parity catches and names, and how often it blames an honest one, over all architectures.

Run with ``python -m benchmarks.faults`` (10 minutes; name architectures, or cases of ``tests.faults.cases``, to run
only those). A fault counts where it changes an answer by more than eager's own rounding; the bounds in brackets, of
95 %, are exact.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from tabulate import tabulate

from benchmarks import binomial
from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES
from tests.faults.cases import CASES
from tests.faults.experiment import Experiment, experiment
from tests.faults.fault import Fault
from tests.faults.faults import FAULTS
from tests.faults.habits import HABITS, Habit
from tests.faults.honest import CONTROLS


@dataclass
class FaultTally:
    """Outcomes of one fault, or of one honest backend: where it was blamed, and where the text named the cause."""

    blamed: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    spared: list[str] = field(default_factory=list)

    @property
    def runs(self) -> int:
        """Return how many there were."""
        return len(self.blamed) + len(self.spared)


def main() -> None:
    """Print what was caught, what it was called, and every false alarm."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    broken = {
        item.name: FaultTally() for item in (*FAULTS, *HABITS, *(fault for case in CASES for fault in case.faults))
    }
    honest = {item.name: FaultTally() for item in (*CONTROLS, *(control for case in CASES for control in case.honest))}
    honest |= {_right(habit).name: FaultTally() for habit in HABITS}
    chosen = [item for item in ARCHITECTURES if item.name in sys.argv[1:] or not sys.argv[1:]]
    for architecture in chosen:
        model = architecture.make()
        tried = experiment(model, [architecture.inputs(model), architecture.inputs(model, batch=3, length=7)])
        for fault in FAULTS:
            if fault.always or tried.is_affected_by(fault.broken):
                _inject(fault, tried, architecture.name, broken[fault.name])
        for backend in CONTROLS:
            if not tried.is_refused_by(backend):
                _acquit(backend, tried, architecture.name, honest[backend.name])
        for habit in HABITS:
            wrapped = experiment(habit.wrap(model), tried.calls)
            _inject(Fault(habit.name, habit.broken, habit.pointer), wrapped, architecture.name, broken[habit.name])
            _acquit(_right(habit), wrapped, architecture.name, honest[_right(habit).name])
        print(f"{architecture.name} done", flush=True)
    cases = [case for case in CASES if case.name in sys.argv[1:] or not sys.argv[1:]]
    for case in cases:
        tried = experiment(case.make(), case.calls, case.method)
        for fault in case.faults:
            _inject(fault, tried, case.name, broken[fault.name])
        for backend in case.honest:
            _acquit(backend, tried, case.name, honest[backend.name])
    print(f"{len(chosen)} architectures, {len(cases)} cases")
    print(_faults_table(broken))
    print(_honest_table(honest))


def _right(habit: Habit) -> Backend:
    return replace(EAGER, name=f"right: {habit.name}")


def _inject(fault: Fault, tried: Experiment, architecture: str, tally: FaultTally) -> None:
    blame = tried.blame(replace(fault.broken, name=fault.name))
    if blame is None:
        tally.spared.append(architecture)
        return
    tally.blamed.append(architecture)
    if re.search(fault.pointer, blame):
        tally.named.append(architecture)


def _acquit(backend: Backend, tried: Experiment, architecture: str, tally: FaultTally) -> None:
    blame = tried.blame(backend)
    (tally.blamed if blame else tally.spared).append(architecture)


def _faults_table(tallies: dict[str, FaultTally]) -> str:
    rows = [_faults_row(name, [tally]) for name, tally in tallies.items()]
    rows.append(_faults_row("all", list(tallies.values())))
    return tabulate(rows, ("fault", "caught / injected", "named / injected", "not caught", "not named"))


def _faults_row(name: str, tallies: Sequence[FaultTally]) -> tuple[str, ...]:
    runs = sum(tally.runs for tally in tallies)
    caught = sum(len(tally.blamed) for tally in tallies)
    named = sum(len(tally.named) for tally in tallies)
    missed = [item for tally in tallies for item in tally.spared]
    unnamed = [item for tally in tallies for item in tally.blamed if item not in tally.named]
    return name, _share(caught, runs), _share(named, runs), _listed(missed), _listed(unnamed)


def _listed(architectures: Sequence[str]) -> str:
    shown = ", ".join(architectures[:5])
    return f"{shown} and {len(architectures) - 5} more" if len(architectures) > 5 else shown


def _honest_table(tallies: dict[str, FaultTally]) -> str:
    rows = [(name, _share(len(tally.blamed), tally.runs), ", ".join(tally.blamed)) for name, tally in tallies.items()]
    blamed, runs = sum(len(tally.blamed) for tally in tallies.values()), sum(tally.runs for tally in tallies.values())
    return tabulate([*rows, ("all", _share(blamed, runs), "")], ("honest backend", "false alarms / runs", "blamed on"))


def _share(count: int, total: int) -> str:
    low, high = binomial.bounds(count, total) if total else (0.0, 1.0)
    return f"{count} / {total} [{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    main()
