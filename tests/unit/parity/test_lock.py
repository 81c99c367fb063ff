"""What a tolerance lock holds an output to, and what an output's errors justify."""

from __future__ import annotations

import math

import pytest
import torch

from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.tolerance_lock import Lock
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity.references import References
from tests.unit.parity.shown import facts

EXACT = torch.randn(64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
EAGER = EXACT.float()


def off(error, seed=1, like=EXACT):
    noise = torch.randn(like.shape, generator=torch.Generator().manual_seed(seed))
    return (like + error * like.square().mean().sqrt() * noise).float()


def judge(actual, precision="int8", rounding=None, exact=EXACT, **budget):
    references = References({"y": exact.float()}, {"y": exact}, None if rounding is None else {"y": rounding})
    return compare({"y": actual}, references, Inputs(), Terms(ParityBudget(**budget), Precision(precision)))


def need(*args, **kwargs):
    return judge(*args, **kwargs).needs["y"]


def test_twice_the_larger_of_both_errors_is_justified():
    coarse, fine = need(off(0.04), rounding=off(0.02, 2)), need(off(0.01), rounding=off(0.02, 2))
    assert coarse.rmse == pytest.approx(2 * 0.04, rel=0.15)
    assert fine.rmse == pytest.approx(2 * 0.02, rel=0.15)
    assert fine.measured_rmse == pytest.approx(0.01, rel=0.05)
    assert fine.eager_rmse == pytest.approx(0.02, rel=0.05)


def test_few_elements_justify_more_and_none_more_than_the_default():
    some, many = need(off(1e-2, like=EXACT[:2, :2]), exact=EXACT[:2, :2]), need(off(1e-2))
    assert some.rmse / some.measured_rmse > 3 * many.rmse / many.measured_rmse
    assert need(off(0.1), rounding=off(0.02, 2)).rmse <= 6.1 * 0.02
    assert need(off(0.3)).rmse <= 10 ** (-8 / 20) + 1e-3


def test_the_floor_of_the_precision_is_justified_where_nothing_is_off():
    assert need(EAGER, precision="fp32").rmse == 1e-6
    assert need(off(1e-3), precision="bf16", rounding=EXACT.bfloat16().float()).rmse == 1e-2
    assert "nothing ran in int8" in need(EAGER, precision="int8").refusal


@pytest.mark.parametrize(("error", "word"), [(0.5, "FAIL"), (0.2, "INCONCLUSIVE")])
def test_what_the_default_does_not_pass_is_refused(error, word):
    found = need(off(error), rounding=off(0.02, 2))
    assert found.refusal.startswith(f"{word} by the default tolerance: it is off by ")
    assert found.measured_rmse == pytest.approx(error, rel=0.1)


def test_nothing_is_justified_beside_a_wrong_output():
    references = References({"y": EAGER, "ids": torch.arange(4)}, {"y": EXACT, "ids": torch.arange(4)})
    answer = {"y": EAGER, "ids": torch.arange(4).flip(0)}
    found = compare(answer, references, Inputs(), Terms(ParityBudget(), Precision.FP32))
    assert found.needs["y"].refusal.startswith("another output of the call is wrong: 'ids' ")
    assert found.needs["ids"].refusal.startswith("FAIL: 'ids' ")


def hiding():
    """Rows that share nearly all, and an answer that has lost what varies among them."""
    exact = 100 + EXACT
    return exact, (exact + torch.randn(64, 64, generator=torch.Generator().manual_seed(3))).float()


def test_what_varies_among_rows_is_no_matter_of_size_unless_the_lock_says_so():
    exact, lost = hiding()
    given = {"rounding": (exact + 0.01 * EXACT.flip(0)).float(), "exact": exact}
    assert judge(lost, **given).outcome is Outcome.FAIL
    by_size = judge(lost, locks={"y": Lock(1.0, 1.0, "a.toml:7")}, **given)
    assert by_size.outcome is Outcome.FAIL
    assert "what varies among its rows has an SQNR of " in by_size.sentence
    assert by_size.sentence.endswith("; a.toml:7 has no varying_db, which alone could allow it")
    assert judge(lost, locks={"y": Lock(1.0, 1.0, "a.toml:7", varying_db=-3.0)}, **given).outcome is Outcome.PASS
    held = judge(lost, locks={"y": Lock(1.0, 1.0, "a.toml:7", varying_db=6.0)}, **given)
    assert held.outcome is Outcome.FAIL
    assert "dB in what varies among the rows, at least 6 dB wanted by varying_db in a.toml:7" in held.sentence


def test_one_number_throughout_passes_by_no_lock():
    exact = torch.randn(64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    eager = (exact + 0.5 * exact.flip(0)).float()
    references = References({"y": eager}, {"y": exact}, None)
    terms = Terms(ParityBudget(locks={"y": Lock(9.0, 9.0, "a.toml:7")}), Precision.FP32)
    found = compare({"y": torch.zeros(64, 64)}, references, Inputs(), terms)
    assert found.outcome is Outcome.FAIL
    assert "is 0 in all 4096 elements, where eager's differ" in found.sentence


def test_a_lock_is_held_in_place_of_the_default():
    lock = {"locks": {"y": Lock(1e-2, 1e-1, "a.toml:7", "torch 2.13.0")}}
    assert judge(off(8e-3), **lock).outcome is Outcome.PASS
    found = judge(off(2e-2), **lock)
    assert found.outcome is Outcome.FAIL
    assert found.sentence.endswith(
        "allowed 1.0e-02 by a.toml:7, which was measured on torch 2.13.0; the default tolerance would pass it"
    )
    assert found.evidence
    assert facts(found)["locked_by"] == "a.toml:7"
    wide = {"locks": {"y": Lock(1.0, 1.0)}}
    assert judge(off(0.5), **wide).outcome is Outcome.PASS
    assert judge(off(0.5) * math.nan, **wide).outcome is Outcome.FAIL
    assert judge(off(2e-2), tolerance=Tolerance(sqnr_db=20), **lock).outcome is Outcome.PASS
    assert judge(EAGER, exact=EAGER.double(), precision="fp32", locks={"y": Lock(0.0, 0.0)}).outcome is Outcome.PASS
