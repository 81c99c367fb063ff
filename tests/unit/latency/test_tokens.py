from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pytest_cpuaccel.measure.latency import tokens as module
from pytest_cpuaccel.measure.latency.tokens import TokenClock
from tests.unit.latency.clock import Clock

IDS = torch.ones(2, 5, dtype=torch.long)


@pytest.fixture(autouse=True)
def _read_by_tokens(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "perf_counter_ns", clock.wall)


def generating(clock: Clock, tokens: TokenClock, steps: int) -> Callable[[], None]:
    """A ``generate()`` that takes 100 ns to its first token, 10 to each of the next, and 5 after the last."""

    def generate() -> None:
        for step in range(steps):
            clock.ns += 10 if step else 100
            assert not tokens(IDS, None).any()
        clock.ns += 5

    return generate


def test_the_first_token_and_the_mean_of_the_others_are_told_apart(clock: Clock) -> None:
    tokens = TokenClock()
    assert tokens.read(generating(clock, tokens, steps=4)) == {"latency": 135, "ttft": 100, "tpot": 10}


def test_every_call_is_timed_afresh(clock: Clock) -> None:
    tokens = TokenClock()
    readings = [tokens.read(generating(clock, tokens, steps=steps)) for steps in (4, 2)]
    assert readings[1] == {"latency": 115, "ttft": 100, "tpot": 10}


def test_what_there_are_too_few_tokens_for_is_left_out(clock: Clock) -> None:
    tokens = TokenClock()
    assert tokens.read(generating(clock, tokens, steps=1)) == {"latency": 105, "ttft": 100}
    assert tokens.read(generating(clock, tokens, steps=0)) == {"latency": 5}


def test_it_stops_no_sequence_of_the_batch() -> None:
    answer = TokenClock()(IDS, None)
    assert (answer.shape, answer.dtype) == ((2,), torch.bool)
