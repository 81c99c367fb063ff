"""The results as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from tabulate import tabulate

from benchmarks.gates.calibration import Calibration
from benchmarks.gates.condition import CONDITIONS
from benchmarks.gates.goal import comparisons, goals
from benchmarks.gates.plan import LIMIT, TIGHT_LIMIT, TIGHT_SLOWDOWN
from benchmarks.gates.results import Results
from benchmarks.gates.speedup import Speedup
from benchmarks.gates.tally import Proportion, Tally
from benchmarks.gates.trial import Trial
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.environment import as_list

RIVALS: Mapping[str, str] = {
    "cpuaccel": "this plugin's latency mark, with its default error rates and caps (10 s; 30 s for calls over 50 ms)",
    "bootstrap": "200 pairs of alternating calls (30 of calls over 5 ms); 95 % percentile interval of the ratio of "
    "medians, 1999 resamples; INCONCLUSIVE where it contains the limit",
    "welch": "Welch's t test on logarithms of 200 calls (30 of calls over 5 ms) a side, one side after the other; "
    "one-sided at 5 % either way, else INCONCLUSIVE",
    "pytest-torch": "its `check_perf`: medians of 20 calls after 5, one side after the other, with our limit and no "
    "slack (its own, 25 % and 0.05 ms, is wider than what is to be caught)",
    "pytest-benchmark": "each side in a pytest of its own, `--benchmark-compare-fail median:5% min:5%`",
    "pytest-codspeed": "its wall-time mode, each side in a pytest of its own; it measures offline but compares only in "
    "its service, so its median and best time are held to the limit here",
}


def page(results: Results, plots: Sequence[str]) -> str:
    """Return the page; ``plots`` are the plots' paths from it."""
    parts = [
        "# Latency gates compared",
        "How often gates are wrong, what they catch and how long they take. Every gate judges pairs of separate builds "
        "of one model, equal ones (A/A) and ones of which the candidate does extra work; 1 thread. Made by "
        "`python -m benchmarks.gates --page docs/gates.md`. Brackets hold the exact 95 % interval, in per cent, of the "
        "share before them (Clopper-Pearson); times are median / p95 seconds to the verdict.",
        as_list(results.environment),
        "## Goals",
        _goals(results),
        f"## Gates, limit {LIMIT} %",
        *(f"![{path.rpartition('/')[2].removesuffix('.svg')}]({path})" for path in plots),
        _by_condition(results.trials),
        f"## Limit {TIGHT_LIMIT} %, true slowdown {TIGHT_SLOWDOWN} %",
        _tight(results.trials),
        "## Speed-ups over eager",
        "Medians of several measurements, and from the least to the greatest of them; in isolation each side has a "
        "process of its own, and the two take turns of 50 ms.",
        _speedups(results.speedups),
        "## Every callable",
        *_by_callable(results.trials),
        "## How it is measured",
        _meanings("condition", {name: item.summary for name, item in CONDITIONS.items()}),
        "A neighbour's phases of work and rest last 50 ms to 2 s, evenly on a logarithmic scale. The drift is made by "
        "extra work in both sides, as much as the clock of the wall says.",
        _meanings("gate", RIVALS),
        "The extra work is small matrix products inside the call. The CPU time it adds, against the same build without "
        "it, by what was asked for:",
        _calibrations(results.calibrations),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _goals(results: Results) -> str:
    words = {True: "met", False: "**missed**", None: "not measured"}
    return _table(
        ("goal", "found", ""),
        [(goal.claim, goal.found, words[goal.met]) for goal in goals(results.trials, results.speedups)],
    )


def _by_condition(trials: Sequence[Trial]) -> str:
    return _verdicts([(condition, _under(condition, trials)) for condition in CONDITIONS])


def _by_callable(trials: Sequence[Trial]) -> Iterator[str]:
    for condition in CONDITIONS:
        groups: dict[str, list[Trial]] = {}
        for trial in _under(condition, trials):
            groups.setdefault(f"{trial.cell.model} {trial.cell.backend}", []).append(trial)
        if groups:
            yield f"<details><summary>{condition}</summary>"
            yield _verdicts(list(groups.items()))
            yield "</details>"


def _under(condition: str, trials: Iterable[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.cell.condition == condition and trial.cell.limit == LIMIT]


def _verdicts(groups: Sequence[tuple[str, Sequence[Trial]]]) -> str:
    """A row for each group and gate. A FAIL is false on A/A, a PASS is wrong when slowed by more than the limit."""
    slowdowns = sorted({trial.cell.slowdown for _, trials in groups for trial in trials} - {0})
    rows = []
    for name, trials in groups:
        for gate in dict.fromkeys(trial.ruling.gate for trial in trials):
            of_gate = [trial for trial in trials if trial.ruling.gate == gate]
            equal = [trial for trial in of_gate if not trial.cell.slowdown]
            too_slow = [trial for trial in of_gate if trial.cell.slowdown > LIMIT]
            rows.append(
                (
                    name,
                    gate,
                    _share(equal, Outcome.FAIL),
                    *(_share([t for t in of_gate if t.cell.slowdown == item], Outcome.FAIL) for item in slowdowns),
                    _share(too_slow, Outcome.PASS),
                    _share(of_gate, Outcome.INCONCLUSIVE),
                    _tally(of_gate).times,
                )
            )
    head = ("", "gate", "A/A FAIL", *(f"{item:+d} % FAIL" for item in slowdowns), "wrong PASS", "INCONCLUSIVE", "s")
    return _table(head, rows)


def _tight(trials: Sequence[Trial]) -> str:
    tight = [trial for trial in trials if trial.cell.limit == TIGHT_LIMIT]
    rows = []
    for condition in CONDITIONS:
        for gate in dict.fromkeys(trial.ruling.gate for trial in tight if trial.cell.condition == condition):
            here = [trial for trial in tight if trial.cell.condition == condition and trial.ruling.gate == gate]
            slower = [trial for trial in here if trial.cell.slowdown == TIGHT_SLOWDOWN]
            equal = [trial for trial in here if not trial.cell.slowdown]
            in_time = _tally(slower).share_within(5.0, Outcome.FAIL)
            rows.append(
                (
                    condition,
                    gate,
                    _share(equal, Outcome.FAIL),
                    _share(slower, Outcome.FAIL),
                    in_time,
                    _share(slower, Outcome.INCONCLUSIVE),
                    _tally(slower).times,
                )
            )
    head = ("", "gate", "A/A FAIL", "+5 % FAIL", "+5 % FAIL within 5 s", "+5 % INCONCLUSIVE", "+5 % s")
    return _table(head, rows)


def _speedups(speedups: Sequence[Speedup]) -> str:
    rows = [
        (item.model, item.backend, _spread(item.interleaved), _spread(item.isolated), f"{item.difference:+.1%}")
        for item in comparisons(speedups)
    ]
    return _table(("model", "backend", "interleaved", "isolated", "difference"), rows)


def _spread(speedups: Sequence[float]) -> str:
    return f"{median(speedups):.2f}x ({min(speedups):.2f} to {max(speedups):.2f})"


def _calibrations(calibrations: Sequence[Calibration]) -> str:
    slowdowns = sorted({item.slowdown for item in calibrations})
    shares = {(item.model, item.backend, item.slowdown): f"{item.share:+.1%}" for item in calibrations}
    callables = dict.fromkeys((item.model, item.backend) for item in calibrations)
    rows = [(*pair, *(shares.get((*pair, slowdown), "") for slowdown in slowdowns)) for pair in callables]
    return _table(("model", "backend", *(f"{slowdown:+d} %" for slowdown in slowdowns)), rows)


def _meanings(noun: str, meanings: Mapping[str, str]) -> str:
    return _table((noun, "means"), list(meanings.items()))


def _share(trials: Sequence[Trial], outcome: Outcome) -> Proportion:
    return _tally(trials).share(outcome)


def _tally(trials: Sequence[Trial]) -> Tally:
    return Tally.of(trial.ruling for trial in trials)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return str(tabulate(rows, head, tablefmt="github", disable_numparse=True)) if rows else ""
