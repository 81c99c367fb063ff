"""What the calls of a test say together."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.evaluation.pool import Pool
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity.references import References


def pool_of(pairs, **budget) -> Pool:
    """The pool of calls that returned the first of each pair, where eager returns the second."""
    expected = {}
    calls = []
    for actual, wanted in pairs:
        calls.append(Call("forward", Inputs((actual,)), actual))
        expected[id(calls[-1])] = wanted

    def compared(budget: ParityBudget, call: Call, pooled) -> Comparison:
        references = References(expected[id(call)])
        return compare(call.output, references, call.inputs, Terms(budget, Precision.FP32, pooled))

    return Pool(calls, partial(compared, ParityBudget(**budget)))


def images(misses: int, total: int = 100):
    """Single images, each in a call of its own; ``misses`` of them are classified otherwise."""
    right, wrong = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    return [(wrong if number < misses else right, right) for number in range(total)]


@pytest.mark.parametrize(("misses", "outcome"), [(0, Outcome.PASS), (2, Outcome.PASS), (3, Outcome.FAIL)])
def test_top1_is_counted_over_all_calls(misses: int, outcome: Outcome) -> None:
    pool = pool_of(images(misses), tolerance=Tolerance(top1=0.98))
    found = pool.comparisons(pool.calls)
    assert max(found, key=lambda item: item.outcome is Outcome.FAIL).outcome is outcome
    assert sum(item.outcome is Outcome.FAIL for item in found) == (misses if outcome is Outcome.FAIL else 0)
    assert f"{100 - misses} of 100 positions" in found[0].sentence


def test_top1_is_counted_over_calls_of_other_shapes_too() -> None:
    batch = torch.eye(2).repeat(49, 1)
    pool = pool_of([*images(2, 2), (batch, batch)], tolerance=Tolerance(top1=0.98))
    assert [item.outcome for item in pool.comparisons(pool.calls[:2])] == [Outcome.PASS, Outcome.PASS]


def test_other_numbers_of_the_mark_hold_for_every_call() -> None:
    pool = pool_of(images(1), tolerance=Tolerance(top1=0.98, atol=0.1))
    assert [item.outcome for item in pool.comparisons(pool.calls)].count(Outcome.FAIL) == 1


def test_an_empty_call_passes_beside_one_that_was_compared() -> None:
    empty, full = torch.zeros(0, 4), torch.ones(3, 4)
    both = pool_of([(empty, empty), (full, full)])
    assert [item.outcome for item in both.comparisons(both.calls[:1])] == [Outcome.PASS]
    alone = pool_of([(empty, empty), (empty, empty)])
    assert {item.outcome for item in alone.comparisons(alone.calls)} == {Outcome.INCONCLUSIVE}
    wrong = pool_of([(empty, full), (full, full)])
    assert wrong.comparisons(wrong.calls)[0].outcome is Outcome.FAIL
