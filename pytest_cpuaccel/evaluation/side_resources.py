"""What fresh processes of a workload take on the two sides of a comparison of environments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from pytest_cpuaccel.core.budget import Budgets
from pytest_cpuaccel.core.measurement.environment import Quantity, Resource
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.evaluation.startup import STAGES
from pytest_cpuaccel.exchange.fields import Fields
from pytest_cpuaccel.measure.fresh_pairs import Figures, take_pairs
from pytest_cpuaccel.sides.processes import Processes

_TIMES: dict[str, Quantity] = {"start": "cold start", "build": "build"}


@dataclass(frozen=True)
class Place:
    """A workload on one side: the processes of an environment, and its number there."""

    processes: Processes
    workload: int


def resources(candidate: Place, reference: Place, budgets: Budgets, limit: float) -> Iterator[Resource]:
    """Yield what a test has budgets for: starts, builds, peak memory, the artifact's size.

    Raises:
        RefusedOrderError: a side can't tell.
        LostSideError: one is gone.
    """
    if budgets.memory is not None and budgets.memory.artifact_bytes is not None:
        yield from _artifact(candidate, reference, limit)
    for task, wanted in _tasks(budgets).items():
        figures = partial(_figures, task=task, wanted=wanted)
        found = take_pairs(partial(figures, candidate), partial(figures, reference), limit)
        for quantity in wanted:
            if quantity in found.candidate and quantity in found.reference:
                ours, theirs = tuple(found.candidate[quantity]), tuple(found.reference[quantity])
                yield Resource(quantity, ours, theirs, found.shown(quantity))


def _tasks(budgets: Budgets) -> dict[str, tuple[Quantity, ...]]:
    """What is asked of fresh processes, by what they do."""
    of_start: tuple[Quantity, ...] = ()
    if budgets.startup is not None and budgets.startup.cold_start_ns is not None:
        of_start += ("cold start",)
    if budgets.memory is not None and budgets.memory.peak_bytes is not None:
        of_start += ("peak memory",)
    found: dict[str, tuple[Quantity, ...]] = {"start": of_start} if of_start else {}
    if budgets.startup is not None and budgets.startup.build_ns is not None:
        found["build"] = ("build",)
    return found


def _figures(place: Place, task: str, wanted: tuple[Quantity, ...]) -> Figures[Quantity]:
    """What one fresh process takes; of time only what it did not wait for a processor."""
    stages = place.processes.ask("fresh", {"workload": place.workload, "task": task}, _stages)
    spent_ns = sum(
        stage.figure("ns") - stage.figure("queued_ns") for stage in stages if stage.text("name") in STAGES[task]
    )
    found: dict[Quantity, float] = {_TIMES[task]: spent_ns}
    peak_bytes = stages[-1].number("peak_bytes") if stages else None
    if peak_bytes is not None:
        found["peak memory"] = peak_bytes
    return {quantity: figure for quantity, figure in found.items() if quantity in wanted}


def _stages(found: Fields) -> list[Fields]:
    return found.objects("answer")


def _artifact(candidate: Place, reference: Place, limit: float) -> Iterator[Resource]:
    """The sizes of the artifacts, which are exact; nothing where a side has none."""
    ours, theirs = (_size(place) for place in (candidate, reference))
    if ours and theirs:
        yield Resource("artifact", (ours,), (theirs,), Shown.ABOVE if ours > limit * theirs else Shown.BELOW)


def _size(place: Place) -> int:
    return place.processes.ask("artifact", {"workload": place.workload}, lambda found: found.count("answer"))
