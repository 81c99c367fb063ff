"""A test that stands by: its calls are made again as the process that commands this one orders."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.builder.eager import answer_of
from pytest_cpuaccel.builder.fingerprint import inputs_digest, inputs_signature, weights_stamp
from pytest_cpuaccel.builder.process_state import process_kept
from pytest_cpuaccel.builder.state.snapshot import untouched
from pytest_cpuaccel.core.call import Answer, Call
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.kv_cache import without_state
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.isolated_run import dispatched
from pytest_cpuaccel.evaluation.kernels import census_of
from pytest_cpuaccel.evaluation.memory import artifact_of
from pytest_cpuaccel.evaluation.timed_models import timed
from pytest_cpuaccel.exchange.census import written_census
from pytest_cpuaccel.isolated.process import TIMEOUT_S, run
from pytest_cpuaccel.measure.latency.side import LocalSide
from pytest_cpuaccel.measure.latency.turn import Burst
from pytest_cpuaccel.measure.latency.undisturbed import no_collection
from pytest_cpuaccel.recording.workload import Workload, workloads
from pytest_cpuaccel.sides.answers_file import write_answers


@dataclass(frozen=True)
class _Standing:
    """One workload of one model."""

    evaluation: Evaluation
    workload: Workload
    model: int


@dataclass
class StandingBy:
    """Makes the calls of one test again. Every public method is an order; it takes and returns what JSON holds."""

    evaluations: Sequence[Evaluation]
    context: EvaluationContext
    scratch: Path
    _sides: dict[int, LocalSide] = field(default_factory=dict)
    _dispatched: dict[int, Path] = field(default_factory=dict)
    _opened: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        self._standing = [
            _Standing(evaluation, workload, number)
            for number, evaluation in enumerate(self.evaluations)
            for workload in workloads(evaluation.calls)
        ]

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Hold the process as it is while calls are timed."""
        threads = self.context.builder.threads
        with process_kept(threads), torch.no_grad(), contextlib.ExitStack() as opened:
            for evaluation in self.evaluations:
                opened.enter_context(untouched(evaluation.model))
            opened.enter_context(no_collection())
            opened.enter_context(self._opened)
            yield

    def workloads(self) -> list[dict[str, Any]]:
        """Return what there is to call: for each workload its model, method, label, and digests of what it takes."""
        return [
            {
                "model": standing.model,
                "name": standing.evaluation.label,
                "backend": standing.evaluation.backend.name,
                "method": standing.workload.sample.method,
                "label": standing.workload.label,
                "signature": inputs_signature(standing.workload.sample.inputs),
                "inputs": [inputs_digest(call.inputs) for call in standing.workload.calls],
                "weights": weights_stamp(standing.evaluation.model),
                "versions": dict(standing.evaluation.backend.versions),
            }
            for standing in self._standing
        ]

    def warm_up(self, workload: int, cap_s: float) -> float:
        """Call until calls stop getting faster; return a typical call's ns."""
        return self._side(workload).warm_up(cap_s)

    def call_ns(self, workload: int) -> float:
        """Make one call and return what it took."""
        return self._side(workload).call_ns()

    def take_turn(self, workload: int, burst: Mapping[str, int], settles: bool) -> dict[str, Any]:
        """Time one burst, after untimed calls where it is to settle first."""
        side, wanted = self._side(workload), Burst(**burst)
        if settles:
            side.settle(wanted)
        return asdict(side.take_turn(wanted))

    def threads_used(self, workload: int, told: int) -> int | None:
        """Return how many threads a warm call runs on at once."""
        return self._side(workload).threads_used(told)

    def answers(self, workload: int) -> str:
        """Write what the calls of a workload answered in the test; return the file's name in the scratch folder.

        Caches are left out: they are state, and no answer.
        """
        calls, file = self._standing[workload].workload.calls, self.scratch / f"answers-{workload}"
        write_answers([Answer(without_state(call.output), without_state(dict(call.written))) for call in calls], file)
        return file.name

    def eager_answers(self, workload: int) -> str:
        """Write what the eager model of this environment answers to these calls; return the file's name."""
        standing, file = self._standing[workload], self.scratch / f"eager-{workload}"
        write_answers([_of_eager(standing.evaluation.reference, call) for call in standing.workload.calls], file)
        return file.name

    def kernels(self, workload: int) -> dict[str, Any] | None:
        """Return the census of a workload's call; None where the backend has none."""
        standing = self._standing[workload]
        census = census_of(standing.evaluation, standing.workload.sample, self.context)
        return None if census is None else written_census(census)

    def artifact(self, workload: int) -> int:
        """Return the bytes of a workload's artifact, 0 where there is none."""
        standing = self._standing[workload]
        found = artifact_of(standing.workload, standing.evaluation, self.context)
        return found.bytes

    def fresh(self, workload: int, task: str) -> list[dict[str, Any]]:
        """Have a fresh process load the workload's model and answer its call ("start"), or build it ("build").

        Returns its stages.
        """
        if workload not in self._dispatched:
            standing = self._standing[workload]
            opened = dispatched(standing.workload.sample, standing.evaluation, self.context)
            self._dispatched[workload] = self._opened.enter_context(opened)
        report = run(self._dispatched[workload], task, threads=self.context.race.threads, timeout_s=TIMEOUT_S)
        return [
            {
                "name": stage.name,
                "ns": stage.ns,
                "queued_ns": stage.queued_ns,
                "peak_bytes": stage.memory.peak_bytes if stage.memory else None,
            }
            for stage in report.stages
        ]

    def order(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Do what is ordered by name.

        Raises:
            UsageError: there is no such order.
        """
        orders: Mapping[str, Callable[..., Any]] = {
            "warm_up": self.warm_up,
            "call_ns": self.call_ns,
            "take_turn": self.take_turn,
            "threads_used": self.threads_used,
            "answers": self.answers,
            "eager_answers": self.eager_answers,
            "kernels": self.kernels,
            "artifact": self.artifact,
            "fresh": self.fresh,
        }
        if name not in orders:
            raise UsageError(f"a test that stands by knows no order {name!r}")
        return orders[name](**arguments)

    def _side(self, workload: int) -> LocalSide:
        if workload not in self._sides:
            standing = self._standing[workload]
            call = standing.workload.sample
            built = self.context.builder.built(standing.evaluation.request(call))
            self._sides[workload] = LocalSide(timed(built, call))
        return self._sides[workload]


def _of_eager(model: nn.Module, call: Call) -> Answer:
    with torch.random.fork_rng(devices=[]):
        if call.rng_state is not None:
            torch.set_rng_state(call.rng_state)
        return answer_of(model, call.method, call.inputs)
