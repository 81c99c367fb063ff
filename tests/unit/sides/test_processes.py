"""Processes of one environment: grown as a race asks, left together, replaced when one is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from pytest_cpuaccel.sides.processes import NotStandingError, Processes
from pytest_cpuaccel.sides.side_process import CalledWorkload, Ended, LostSideError, SideProcess

CALLED = (CalledWorkload(0, "Net", "ort", "forward", "forward 1x2", "x=float32 1x2", ("a",), "w", {}),)


@dataclass
class FakeProcess:
    """Ends or loses itself in the tests that it is told to."""

    number: int
    losing: Sequence[str] = ()
    ending: Sequence[str] = ()
    starts: bool = True
    stands_by: bool = False
    workloads: tuple[CalledWorkload, ...] = CALLED
    ran: list[str] = field(default_factory=list)
    has_ended: bool = False
    leaves: bool = True

    def await_start(self) -> int:
        if not self.starts:
            raise LostSideError("with old the process is gone")
        return 1

    def run(self, test: str, following: str | None) -> Any:  # noqa: ARG002
        self.ran.append(test)
        if test in self.losing:
            raise LostSideError("with old the process is gone: killed by SIGSEGV")
        if test in self.ending:
            return Ended("call failed", "ValueError")
        self.stands_by = True
        return CALLED

    def leave(self) -> None:
        self.stands_by = False
        if not self.leaves:
            raise LostSideError("with old the process is gone")

    def end(self) -> None:
        self.has_ended = True


def processes(**of_each: Any) -> tuple[Processes, list[FakeProcess]]:
    made: list[FakeProcess] = []

    def start(number: int) -> SideProcess:
        made.append(FakeProcess(number, **of_each))
        return cast("SideProcess", made[-1])

    return Processes("old", start), made


def test_a_test_runs_in_as_many_as_are_asked_for_and_once_in_each() -> None:
    found, made = processes()
    assert found.run("a", None, 1) == CALLED
    found.grow(3)
    found.leave()
    found.run("b", None, 1)
    assert [process.ran for process in made] == [["a", "b"], ["a"], ["a"]]
    found.grow(3)
    assert [process.number for process in made] == [0, 1, 2]


def test_a_test_that_ends_there_says_how_and_the_next_one_runs() -> None:
    found, made = processes(ending=["a"])
    with pytest.raises(NotStandingError, match="ValueError"):
        found.run("a", None, 1)
    found.leave()
    assert found.run("b", None, 1) == CALLED
    assert len(made) == 1


def test_a_lost_process_takes_the_others_along_and_the_next_test_gets_fresh_ones() -> None:
    found, made = processes(losing=["b"])
    found.run("a", None, 2)
    found.leave()
    with pytest.raises(LostSideError, match="SIGSEGV"):
        found.run("b", None, 1)
    with pytest.raises(LostSideError, match="SIGSEGV"):
        found.grow(2)
    assert all(process.has_ended for process in made)
    assert found.run("c", None, 1) == CALLED
    assert made[-1].ran == ["c"]


def test_none_is_started_any_more_where_too_many_were_lost() -> None:
    found, made = processes(losing=["a"])
    for _ in range(5):
        with pytest.raises(LostSideError):
            found.run("a", None, 1)
    assert len(made) == 3


def test_none_is_started_any_more_where_one_can_not_be_started() -> None:
    found, made = processes(starts=False)
    for test in ("a", "b"):
        with pytest.raises(LostSideError):
            found.run(test, None, 1)
    assert len(made) == 1


def test_one_that_is_lost_as_it_leaves_leaves_none_standing() -> None:
    found, made = processes(leaves=False)
    found.run("a", None, 2)
    found.leave()
    assert all(process.has_ended for process in made)
    found.run("b", None, 2)
    assert [process.ran for process in made[2:]] == [["b"], ["b"]]
