"""The bench: goes through a plan until it is done or the time is up."""

from __future__ import annotations

import contextlib
import functools
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from benchmarks.gates.alone import alone
from benchmarks.gates.calibration import SLOWDOWNS
from benchmarks.gates.cell import GateCell
from benchmarks.gates.condition import CONDITIONS
from benchmarks.gates.contest import contest_of
from benchmarks.gates.judges.match import Match
from benchmarks.gates.judges.roster import GATES, batch_judge, live_judge
from benchmarks.gates.neighbour import neighbours
from benchmarks.gates.plan import Plan
from benchmarks.gates.results import Results
from benchmarks.gates.scale import calibrate
from benchmarks.gates.speedup import Speedup
from benchmarks.gates.stable import Stable
from benchmarks.gates.trial import Trial
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.race import race
from pytest_cpuaccel.measure.latency.side import local_sides

REFERENCE = "eager"

_ROUNDS = 8
"""Of two processes that take turns: half a second of each would compare two moments of the machine."""


class TimeIsUpError(Exception):
    """The time budget is used up."""


@dataclass(frozen=True)
class Bench:
    """``cache`` keeps exports, ``deadline`` is on the monotonic clock."""

    stable: Stable
    results: Results
    cache: Path
    deadline: float
    say: Callable[[str], None]

    def calibrate(self, plan: Plan) -> None:
        """Calibrate the callables of a plan that are not calibrated yet, on a machine as it is."""
        for model, backend in itertools.product(plan.models, plan.backends):
            if self.results.calibrations_of(model, backend).keys() >= set(SLOWDOWNS) - {0}:
                continue
            self._check_time()
            with contextlib.ExitStack() as opened, torch.no_grad():
                for calibration in calibrate(self.stable.bare_call(model, backend, opened), model, backend):
                    self.results.add(calibration)
                    self.say(f"{model} {backend}: {calibration.rounds} rounds add {calibration.share:.1%}")

    def judge(self, plan: Plan) -> None:
        """Have every gate of a plan judge its pairs; skip what was judged before."""
        for condition, tasks in plan.chunks():
            if not any(self._missing(plan, cell, pair) for cell, pairs in tasks for pair in pairs):
                continue
            self._check_time()
            with neighbours(CONDITIONS[condition].neighbours):
                for cell, pairs in tasks:
                    self._judge_cell(plan, cell, pairs)

    def compare_speedups(self, models: Sequence[str], backends: Sequence[str], measurements: int) -> None:
        """Measure speed-ups over eager both ways, so many times; skip what was measured before."""
        done = {(item.model, item.backend, item.measurement) for item in self.results.speedups}
        for model, backend in itertools.product(models, backends):
            missing = [number for number in range(measurements) if (model, backend, number) not in done]
            if backend != REFERENCE and missing:
                self._check_time()
                self._compare_speedups(model, backend, missing)

    def _compare_speedups(self, model: str, backend: str, measurements: Sequence[int]) -> None:
        with (
            contextlib.ExitStack() as opened,
            torch.no_grad(),
            alone(model, backend, self.cache) as candidate_ns,
            alone(model, REFERENCE, self.cache) as reference_ns,
        ):
            sides = local_sides(
                self.stable.bare_call(model, backend, opened), self.stable.bare_call(model, REFERENCE, opened)
            )
            for ask in (candidate_ns, reference_ns):  # now both have started
                ask()
            for measurement in measurements:
                isolated = median(reference_ns() / candidate_ns() for _ in range(_ROUNDS))
                interleaved = race(sides, limit=None, rebuild=lambda: sides, config=RaceConfig()).speedup
                self.results.add(Speedup(model, backend, measurement, interleaved, isolated))
                self.say(f"{model} {backend}: {interleaved:.3f}x interleaved, {isolated:.3f}x isolated")

    def _judge_cell(self, plan: Plan, cell: GateCell, pairs: Sequence[int]) -> None:
        for pair in pairs:
            if live := [gate for gate in self._missing(plan, cell, pair) if GATES[gate].live]:
                self._judge_live(cell, pair, live)
        for gate in plan.gates:
            if not GATES[gate].live and (
                missing := [pair for pair in pairs if gate in self._missing(plan, cell, pair)]
            ):
                self._judge_batch(cell, missing, gate)

    def _missing(self, plan: Plan, cell: GateCell, pair: int) -> list[str]:
        wanted = [gate for gate in plan.gates if plan.has(gate, cell, pair)]
        return [gate for gate in wanted if not self.results.is_judged(cell, pair, gate)]

    def _judge_live(self, cell: GateCell, pair: int, gates: Sequence[str]) -> None:
        self._check_time()
        contest = contest_of(cell, self.results.calibrations_of(cell.model, cell.backend))
        with contextlib.ExitStack() as opened, torch.no_grad():
            rebuild = functools.partial(self.stable.sides, contest, opened)
            match = Match(rebuild(), rebuild, cell.ratio_limit, seed=2 * pair)
            for gate in gates:
                self._add(Trial(cell, pair, live_judge(gate)(match)))

    def _judge_batch(self, cell: GateCell, pairs: Sequence[int], gate: str) -> None:
        self._check_time()
        contest = contest_of(cell, self.results.calibrations_of(cell.model, cell.backend))
        with tempfile.TemporaryDirectory() as folder:
            rulings = batch_judge(gate)([contest] * len(pairs), cell.limit, Path(folder), self.cache)
            for pair, found in zip(pairs, rulings, strict=True):
                for ruling in found:
                    self._add(Trial(cell, pair, ruling))

    def _add(self, trial: Trial) -> None:
        self.results.add(trial)
        ruling = trial.ruling
        self.say(f"{trial.cell}, pair {trial.pair}: {ruling.gate} {ruling.outcome.value}, {ruling.seconds:.1f} s")

    def _check_time(self) -> None:
        if time.monotonic() >= self.deadline:
            raise TimeIsUpError
