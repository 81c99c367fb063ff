"""What pytest-benchmark and pytest-codspeed run: a test for each contest, timing one of its sides."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import pytest
import torch

from benchmarks.gates.contest import contest_from
from benchmarks.gates.stable import Stable

CONTESTS = [contest_from(fields) for fields in json.loads(os.environ["GATES_CONTESTS"])]
SIDE = os.environ["GATES_SIDE"]


@pytest.fixture(scope="session")
def stable() -> Stable:
    return Stable(Path(os.environ["GATES_CACHE"]))


@pytest.fixture
def opened() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack, torch.no_grad():
        yield stack


@pytest.mark.parametrize("number", range(len(CONTESTS)))
def test_side(
    benchmark: Callable[[Callable[[], object]], object], number: int, stable: Stable, opened: contextlib.ExitStack
) -> None:
    contest = CONTESTS[number]
    call = stable.call(contest.model, contest.backend, getattr(contest, SIDE), opened)
    started = perf_counter()
    benchmark(call)
    with Path(os.environ["GATES_SECONDS"]).open("a") as file:
        print(perf_counter() - started, file=file)
