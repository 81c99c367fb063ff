from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pytest_cpuaccel.measure.latency.undisturbed import attended, no_collection


@dataclass(frozen=True)
class Sample:
    elapsed_s: float


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    gc.unfreeze()  # Python 3.12 starts with a few hundred frozen objects
    gc.enable()
    yield
    gc.unfreeze()
    gc.enable()


def test_the_collector_is_off_while_timing_and_on_again_afterwards() -> None:
    with no_collection():
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_collector_is_on_again_after_an_error(error: type[BaseException]) -> None:
    with pytest.raises(error), no_collection():
        raise error
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    with no_collection():
        pass
    assert not gc.isenabled()


def test_objects_that_were_frozen_stay_frozen() -> None:
    gc.freeze()
    with no_collection():
        pass
    assert gc.get_freeze_count() > 0


def test_garbage_of_the_timed_calls_is_collected_about_once_a_second() -> None:
    cycles: list[weakref.ref[Cycle]] = []
    alive = []
    samples = (Sample(elapsed_s=tenths / 10) for tenths in range(25))
    with no_collection():
        for _ in attended(samples, "pairs", lambda _: None):
            cycles.append(weakref.ref(Cycle()))
            alive.append(sum(cycle() is not None for cycle in cycles))
    assert max(alive) == 10


def test_progress_is_told_about_once_a_second() -> None:
    told: list[str] = []
    samples = (Sample(elapsed_s=tenths / 10) for tenths in range(25))
    assert len(list(attended(samples, "pairs", told.append))) == 25
    assert told == ["11 pairs in 1 s", "21 pairs in 2 s"]
