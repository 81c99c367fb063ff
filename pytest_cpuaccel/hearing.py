"""A hearing: one test held to its marks after its body ran."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_cpuaccel import budgets, marks
from pytest_cpuaccel.arguments import check_backends
from pytest_cpuaccel.core.errors import BackendUnavailableError, CpuaccelError, UsageError
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.narrowing import check_narrowing
from pytest_cpuaccel.report.row import note_property, properties_of
from pytest_cpuaccel.state import SETTINGS, choice_of, session_of

if TYPE_CHECKING:
    from pytest_cpuaccel.choice import Choice
    from pytest_cpuaccel.core.finding import Finding
    from pytest_cpuaccel.judge.bench import Bench
    from pytest_cpuaccel.judge.court import Court
    from pytest_cpuaccel.judge.trial import Budgets


def check_marks(item: pytest.Item, backend: str, choice: Choice) -> None:
    """Check a test's marks before anything runs.

    Raises:
        UsageError: a mark that has no meaning, or that nothing in the test could be judged by.
        BackendUnavailableError: the latency budget compares with a backend that isn't installed; with
            ``--cpu-missing=skip`` the test is skipped instead.
    """
    check_narrowing(item, choice.known)
    marked = marks.judged(item)
    if not marked:
        return
    fixtures = getattr(item, "fixturenames", ())
    if "_cpu_bench" not in fixtures:
        raise UsageError(
            f"{item.nodeid}: @{marked[0]} judges calls of cpu_model or cpu_accelerate; take one as argument"
        )
    if "accuracy_budget" in marked and "score_items" not in fixtures:
        raise UsageError(f"{item.nodeid}: @accuracy_budget judges what score_items found; take it as argument")
    for name in marked:
        check_backends(item, name, choice.known)
    budgets_of(item, backend)
    try:
        versus_name(item, backend, choice)
    except BackendUnavailableError as missing:
        if item.config.stash[SETTINGS].missing == "fail":
            raise
        item.add_marker(pytest.mark.skip(reason=str(missing)))


def budgets_of(item: pytest.Item, backend: str) -> Budgets:
    """Return what the marks of a test allow under a backend.

    Raises:
        UsageError: a mark that has no meaning.
    """
    from pytest_cpuaccel.judge.trial import Budgets

    return Budgets(
        budgets.parity_budget(item, backend),
        budgets.accuracy_budget(item, backend),
        budgets.latency_budget(item, backend),
        budgets.startup_budget(item, backend),
        budgets.memory_budget(item, backend),
    )


def versus_name(item: pytest.Item, backend: str, choice: Choice) -> str:
    """Return the backend that the latency budget compares with.

    Raises:
        UsageError: there is none of that name.
        BackendUnavailableError: it isn't installed.
    """
    budget = budgets.latency_budget(item, backend)
    name = budget.vs if budget else "eager"
    try:
        return choice.named(name).name
    except CpuaccelError as mistake:
        raise type(mistake)(f"{item.nodeid}: @latency_budget(vs=): {mistake}") from None


def judged(item: pytest.Item, bench: Bench) -> None:
    """Judge what a test left on its bench; put the findings on its report, and fail or skip it accordingly.

    Findings are put there one by one, so that an interrupt keeps those that are complete.
    """
    from pytest_cpuaccel.report.failure import failure_text

    session = session_of(item.config)
    findings = []
    try:
        for number, finding in enumerate(_findings(item, bench, session.court)):
            item.user_properties.extend(properties_of(number, finding))
            findings.append(finding)
    finally:
        item.user_properties.extend(note_property(note) for note in session.take_notes())
    failed = failure_text(findings, Outcome.FAIL)
    undecided = failure_text(findings, Outcome.INCONCLUSIVE)
    policy = item.config.stash[SETTINGS].inconclusive
    if failed or (undecided and policy == "fail"):
        pytest.fail("\n".join(filter(None, (failed, undecided and f"INCONCLUSIVE {undecided}"))), pytrace=False)
    if undecided and policy == "skip":
        pytest.skip(f"INCONCLUSIVE {undecided}")


def place_of(error: BaseException, item: pytest.Item) -> str:
    """Return ``file:line: `` of the user's line that an error came from; "" where it is not the test's."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(item.path)]
    return f"{item.path.name}:{lines[-1]}: " if lines else ""


def _findings(item: pytest.Item, bench: Bench, court: Court) -> Iterator[Finding]:
    from pytest_cpuaccel.judge.judge import judge_test

    if not marks.judged(item):
        return
    choice = choice_of(item.config)
    versus = choice.named(versus_name(item, bench.backend.name, choice))
    trials = bench.trials(budgets_of(item, bench.backend.name), versus)
    yield from judge_test([replace(trial, test=item.nodeid) for trial in trials], court)
