"""What the bench of latency gates promises of its figures and its file of results; nothing is timed here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from benchmarks import binomial
from benchmarks.gates.calibration import Calibration
from benchmarks.gates.cell import GateCell
from benchmarks.gates.goal import Goal, comparisons, goals
from benchmarks.gates.page import page
from benchmarks.gates.plan import Plan
from benchmarks.gates.results import Results
from benchmarks.gates.speedup import Speedup
from benchmarks.gates.tally import Proportion, Tally
from benchmarks.gates.trial import Ruling, Trial
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.verdict import Outcome

ENVIRONMENT = {"cpu": "a processor", "versions": ["torch 2"]}
A_A = GateCell("mlp", "eager", "quiet", 0, 5)
SLOWER = GateCell("mlp", "eager", "quiet", 10, 5)


def ruling(outcome: Outcome = Outcome.PASS, seconds: float = 1.0, gate: str = "cpuaccel") -> Ruling:
    return Ruling(gate, outcome, 1.0, seconds)


def goal(claim: str, trials: list[Trial], speedups: list[Speedup] | None = None) -> Goal:
    (found,) = (item for item in goals(trials, speedups or []) if item.claim.startswith(claim))
    return found


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 1 - 0.025 ** (1 / 10)),
        (10, 10, 0.025 ** (1 / 10), 1.0),
        (0, 300, 0.0, 0.01222),
        (5, 20, 0.08657, 0.49105),
        (1000, 2000, 0.47785, 0.52215),
    ],
)
def test_bounds_are_those_of_clopper_and_pearson(successes: int, trials: int, low: float, high: float) -> None:
    assert binomial.bounds(successes, trials) == pytest.approx((low, high), abs=2e-5)


def test_nothing_measured_bounds_nothing() -> None:
    assert Proportion(0, 0).bounds == (0.0, 1.0)
    assert str(Proportion(0, 0)) == ""


def test_a_tally_counts_outcomes_and_times() -> None:
    seconds = [float(second) for second in range(1, 21)]
    tally = Tally.of(ruling(Outcome.FAIL if second > 15 else Outcome.PASS, second) for second in seconds)
    assert tally.share(Outcome.FAIL) == Proportion(5, 20)
    assert tally.share(Outcome.INCONCLUSIVE) == Proportion(0, 20)
    assert tally.share_within(17, Outcome.FAIL) == Proportion(2, 20)
    assert (tally.median_s, tally.p95_s) == (10.5, 19.0)


def test_a_false_alarm_misses_the_goal_of_its_condition_alone() -> None:
    trials = [Trial(A_A, pair, ruling(Outcome.FAIL if pair == 0 else Outcome.PASS)) for pair in range(50)]
    assert goal("quiet: A/A", trials).met is False
    assert goal("drift: A/A", trials).met is None


def test_what_rivals_say_does_not_count_for_our_goals() -> None:
    trials = [Trial(A_A, 0, ruling()), Trial(A_A, 0, ruling(Outcome.FAIL, gate="welch"))]
    assert goal("quiet: A/A", trials).met is True


def test_a_slow_detection_misses_the_goal_of_speed() -> None:
    quick = [Trial(SLOWER, pair, ruling(Outcome.FAIL, 0.2)) for pair in range(10)]
    slow = [Trial(SLOWER, pair, ruling(Outcome.FAIL, 4.0)) for pair in range(10, 20)]
    claim = "quiet, calls <= 2 ms, +10 %: median"
    assert goal(claim, quick).met is True
    assert goal(claim, quick + slow).met is False


def test_speedups_are_compared_by_their_medians() -> None:
    measured = [Speedup("mlp", "ort", number, value, 2.0) for number, value in enumerate((1.0, 2.06, 9.0))]
    (found,) = comparisons(measured)
    assert (median(found.interleaved), median(found.isolated)) == (2.06, 2.0)
    assert found.difference == pytest.approx(0.03)
    assert goal("speed-ups", [], measured).met is True
    assert goal("speed-ups", [], [*measured, Speedup("mlp", "openvino", 0, 1.8, 2.0)]).met is False


def test_results_are_there_again_after_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    calibration = Calibration("mlp", "eager", 10, 17, 0.098)
    trial = Trial(A_A, 3, ruling(Outcome.INCONCLUSIVE, gate="pytest-benchmark min"))
    speedup = Speedup("mlp", "ort", 0, 1.5, 1.4)
    results = Results(file, ENVIRONMENT)
    for result in (calibration, trial, speedup):
        results.add(result)
    with file.open("a") as cut:
        cut.write('{"trial": {"cell": {"mod')
    again = Results(file, ENVIRONMENT)
    again.add(Trial(SLOWER, 0, ruling()))
    last = Results(file, ENVIRONMENT)
    assert (last.calibrations, last.speedups) == ([calibration], [speedup])
    assert last.trials == [trial, Trial(SLOWER, 0, ruling())]


def test_what_was_judged_is_not_judged_again(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl", ENVIRONMENT)
    results.add(Trial(A_A, 0, ruling(gate="pytest-benchmark median")))
    assert results.is_judged(A_A, 0, "pytest-benchmark")
    assert not results.is_judged(A_A, 1, "pytest-benchmark")
    assert not results.is_judged(A_A, 0, "cpuaccel")
    assert not results.is_judged(SLOWER, 0, "pytest-benchmark")


def test_results_of_two_environments_are_not_mixed(tmp_path: Path) -> None:
    Results(tmp_path / "results.jsonl", ENVIRONMENT)
    with pytest.raises(UsageError, match="name another file"):
        Results(tmp_path / "results.jsonl", {**ENVIRONMENT, "cpu": "another"})


def test_a_plan_goes_round_all_cells_before_it_comes_back() -> None:
    plan = Plan(["mlp"], ["eager"], ["quiet", "drift"], [0, 2, 5, 10], [5, 2], ["cpuaccel"], {"mlp": 5}, 0)
    chunks = list(plan.chunks())
    assert [condition for condition, _ in chunks] == ["quiet", "drift"] * 3
    assert [(cell.limit, cell.slowdown, list(pairs)) for cell, pairs in chunks[0][1]] == [
        (5, 0, [0, 1]),
        (5, 2, [0]),
        (5, 5, [0]),
        (5, 10, [0, 1]),
        (2, 0, [0]),
        (2, 5, [0, 1]),
    ]
    assert [list(pairs) for _, pairs in chunks[-1][1]] == [[4]] * 3


def test_rivals_judge_short_calls_that_a_goal_is_set_for() -> None:
    plan = Plan([], [], [], [], [], ["cpuaccel", "welch"], {}, rival_pairs=2)
    assert plan.has("welch", A_A, 1)
    assert not plan.has("welch", A_A, 2)
    assert not plan.has("welch", replace(A_A, slowdown=2), 1)
    assert not plan.has("welch", replace(A_A, model="bert-base"), 1)
    assert plan.has("cpuaccel", replace(A_A, model="bert-base", slowdown=2), 9)


def test_the_slowest_rival_judges_on_a_quiet_machine_alone() -> None:
    plan = Plan([], [], [], [], [], ["pytest-codspeed"], {}, rival_pairs=2)
    assert plan.has("pytest-codspeed", A_A, 1)
    assert not plan.has("pytest-codspeed", replace(A_A, condition="drift"), 1)


def test_the_page_sets_gates_side_by_side(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl", ENVIRONMENT)
    for pair in range(4):
        results.add(Trial(A_A, pair, ruling(seconds=0.25)))
        results.add(Trial(A_A, pair, ruling(Outcome.FAIL if pair else Outcome.PASS, gate="welch")))
    text = page(results, ["gates/detection.svg"])
    ours, rival = (next(line for line in text.splitlines() if f"| {gate} " in line) for gate in ("cpuaccel", "welch"))
    assert "0/4 [0.0, 60.2]" in ours
    assert "0.25 / 0.25" in ours
    assert "3/4 [19.4, 99.4]" in rival
    assert "(gates/detection.svg)" in text
