"""The values of the HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone

from pytest_cpuaccel.core.units import format_elapsed
from pytest_cpuaccel.report.closing import undecided_count
from pytest_cpuaccel.report.html.card import Card, cards_of, expected_failures, unexplained
from pytest_cpuaccel.report.html.distribution import HEIGHT, WIDTH
from pytest_cpuaccel.report.html.lines import table_of
from pytest_cpuaccel.report.html.totals import by_backend, totals_of
from pytest_cpuaccel.report.kernels import kernel_lines
from pytest_cpuaccel.report.problem import problems
from pytest_cpuaccel.report.report import Environment, Report
from pytest_cpuaccel.report.run import Run


def page(report: Report) -> dict[str, object]:
    """Return what the template ``page.html.j2`` shows, by name."""
    rows = report.rows
    found = problems(rows)
    failing = [*(problem for problem in found if problem.fails), *unexplained(rows, found)]
    failures = cards_of(failing, "failure", "fail")
    undecided = cards_of((problem for problem in found if not problem.fails), "undecided", "unsure")
    expected = cards_of(expected_failures(rows), "expected", "quiet")
    totals = totals_of(rows)
    return {
        "headline": _headline(report),
        "failed": bool(failing or report.failures),
        "failures_of_run": report.failures,
        "judged": any(row.is_judged for row in rows),
        "run": _run(report.run),
        "command": report.run.command,
        "failures": failures,
        "undecided": undecided,
        "expected": expected,
        "notes": report.notes,
        "kernels": kernel_lines(rows),
        "rows": len(rows),
        "totals": totals,
        "backends": by_backend(rows, totals),
        "table": table_of(rows, _anchors((*expected, *undecided, *failures))) if rows else None,
        "environment": _environment(report.environment),
        "plot_width": WIDTH,
        "plot_height": HEIGHT,
    }


def _headline(report: Report) -> str:
    rows = report.rows
    if not any(row.is_judged for row in rows):
        return "Nothing was judged"
    tests = {row.test for row in rows}
    failed = {row.test for row in rows if row.is_bad or row.outcome in ("failed", "error")}
    passing = "The run failed" if report.failures else "No test failed"
    what = f"{len(failed)} of {len(tests)} test{'s' * (len(tests) > 1)} failed" if failed else passing
    undecided = undecided_count(rows)
    return f"{what}, {undecided} result{'s' * (undecided > 1)} not decided" if undecided else what


def _run(run: Run) -> dict[str, str]:
    """The facts of the run by name, without its command; "" for what is not known."""
    started = datetime.fromisoformat(run.started).astimezone(timezone.utc)
    return {
        "started": started.strftime("%Y-%m-%d %H:%M:%S UTC"),
        "datetime": started.isoformat(),
        "duration": "" if run.seconds is None else format_elapsed(run.seconds),
        "commit": run.commit_label,
    }


def _anchors(cards: Iterable[Card]) -> Mapping[int, str]:
    """The card of each row by the row's ``id()``; of several the last."""
    return {id(row): card.anchor for card in cards for row in card.rows}


def _environment(environment: Environment) -> dict[str, str]:
    return {
        name.replace("_", " "): str(value) if isinstance(value, (str, int, float)) else ", ".join(value)
        for name, value in environment.items()
    }
