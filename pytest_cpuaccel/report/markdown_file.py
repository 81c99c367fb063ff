"""The Markdown report: the table, then what did not pass."""

from __future__ import annotations

from collections.abc import Iterator

from tabulate import tabulate

from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.environment import as_list
from pytest_cpuaccel.report.report import Report
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.table import table


def markdown(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown."""
    headings, lines = table(report.rows)
    sentences = [line for row in report.rows for line in _not_passed(row)]
    parts = [
        "# CPU backends",
        as_list(report.environment),
        tabulate(lines, headings, tablefmt="github", disable_numparse=True) if lines else "Nothing was judged.",
        "\n".join(["## Not passed", "", *sentences]) if sentences else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _not_passed(row: Row) -> Iterator[str]:
    if row.ending is not None:
        yield f"- {row.word} `{row.test}`: {row.ending.reason}"
    for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        for verdict in row.verdicts(outcome):
            yield f"- {outcome.value} `{row.test}`: {verdict.sentence}"
