"""``parity(neighbours=)``: the nearest neighbours that a batch of embeddings keeps."""

from __future__ import annotations

import pytest
import torch

from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity.neighbours import neighbours
from pytest_cpuaccel.measure.parity.references import References
from tests.unit.parity.shown import facts

ROWS = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
COMMON = 100 + ROWS
"""Nearly one direction: any two of these rows have a cosine of 0.999 and more."""


def found(actual, expected, valid=None):
    return neighbours(actual, expected, torch.tensor(True).expand(expected.shape) if valid is None else valid)


def judge(actual, expected, precision="int8", **budget):
    budget = budget or {"tolerance": Tolerance(neighbours=0.9)}
    return compare(actual, References(expected), Inputs(), Terms(ParityBudget(**budget), Precision(precision)))


def test_scaled_rows_keep_all_their_neighbours():
    kept = found(torch.linspace(0.1, 30, 32)[:, None] * ROWS, ROWS)
    assert (kept.hits, kept.positions, kept.nearest, kept.rows) == (320, 320, 10, 32)


def test_a_common_part_hides_nothing():
    noise = torch.randn(ROWS.shape, generator=torch.Generator().manual_seed(1))
    assert torch.nn.functional.cosine_similarity(COMMON + 2 * noise, COMMON).min() > 0.999
    result = judge(COMMON + 2 * noise, COMMON)
    assert result.outcome is Outcome.FAIL
    assert "of its nearest neighbours (" in result.sentence
    assert "10 of each of 32 rows), at least 90.00% wanted" in result.sentence
    assert facts(result)["neighbours"] < 0.7
    assert judge(COMMON + 2 * noise, COMMON, tolerance=Tolerance(cosine=0.999)).outcome is Outcome.PASS


def test_one_answer_for_all_rows_keeps_few():
    assert found(ROWS[:1].expand(32, 16), ROWS).value < 0.6
    assert found(torch.zeros(32, 16), ROWS).value < 0.6


def test_any_of_equally_near_rows_will_do():
    twice = torch.cat([ROWS[:8]] * 4)
    near = twice + 1e-4 * torch.randn(twice.shape, generator=torch.Generator().manual_seed(2))
    assert found(near, twice).value == 1
    assert found(ROWS, ROWS[:1].expand(32, 16)).value == 1
    assert found(ROWS, torch.zeros(32, 16)).value == 1


@pytest.mark.parametrize(("rows", "nearest"), [(4, 1), (8, 2), (31, 10), (200, 10)])
def test_the_others_are_three_times_as_many_as_the_nearest(rows, nearest):
    some = torch.randn(rows, 4)
    assert found(some, some).nearest == nearest


def test_rows_of_padding_do_not_count():
    valid = (torch.arange(32) < 5)[:, None].expand(32, 16)
    assert found(ROWS, ROWS, valid).rows == 5


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_too_few_rows_are_told_in_one_line(rows):
    result = judge(ROWS[:rows] + 1, ROWS[:rows])
    assert result.outcome is Outcome.INCONCLUSIVE
    if rows:
        assert f"neighbours=: it has {rows} row" in result.sentence
        assert "give the model more at once" in result.sentence


def test_what_has_no_rows_is_judged_as_if_nothing_was_asked():
    hidden = torch.randn(4, 6, 32, generator=torch.Generator().manual_seed(0))
    outputs = {"pooled": ROWS, "hidden": hidden, "ids": torch.arange(4)}
    assert judge(dict(outputs), outputs, "fp32").outcome is Outcome.PASS
    wrong = judge({**outputs, "hidden": hidden + 1}, outputs, "fp32")
    assert wrong.outcome is Outcome.FAIL
    assert [*wrong.failing] == ["hidden"]


def test_nothing_with_rows_is_a_mistake():
    hidden = torch.randn(4, 6, 32)
    with pytest.raises(UsageError, match=r"parity\(neighbours=\): no output has rows, .*: hidden 4x6x32$"):
        judge({"hidden": hidden}, {"hidden": hidden})
    asked = {"hidden": Tolerance(neighbours=0.9)}
    with pytest.raises(UsageError, match=r"parity\(outputs=\): 'hidden' is 4x6x32 and has no rows"):
        judge({"hidden": hidden, "a": ROWS}, {"hidden": hidden, "a": ROWS}, outputs=asked)


def test_a_missing_row_fails_and_raises_nothing():
    assert judge(ROWS[:31], ROWS).outcome is Outcome.FAIL
    assert judge(ROWS * torch.nan, ROWS).outcome is Outcome.FAIL
    assert judge(ROWS.long(), ROWS).outcome is Outcome.FAIL
    assert judge({}, {"rows": ROWS}).outcome is Outcome.FAIL


def test_rows_that_eager_does_not_tell_apart_show_nothing():
    near = torch.nn.functional.normalize(1 + 3e-4 * ROWS, dim=1)
    result = judge(ROWS, near)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "all its rows are as near to one another under eager as fp32 can tell" in result.sentence
    assert judge(ROWS, ROWS[:1].expand(32, 16)).outcome is Outcome.INCONCLUSIVE
