"""The Markdown report: the table, then what did not pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tabulate import tabulate

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.environment import as_list
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.table import table


def markdown(rows: Sequence[Row], environment: Mapping[str, Scalar | Sequence[str]]) -> str:
    """Return the report as GitHub-flavoured Markdown."""
    headings, lines = table(rows)
    sentences = [
        f"- {outcome.value} `{row.test}`: {sentence}"
        for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE)
        for row in rows
        for sentence in row.sentences(outcome)
    ]
    parts = [
        "# CPU backends",
        as_list(environment),
        tabulate(lines, headings, tablefmt="github", disable_numparse=True) if lines else "Nothing was judged.",
        "\n".join(["## Not passed", "", *sentences]) if sentences else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
