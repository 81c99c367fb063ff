"""The summary of a step of GitHub Actions: a Markdown file that steps append to."""

from __future__ import annotations

from pathlib import Path

from pytest_cpuaccel.report.markdown_file import markdown
from pytest_cpuaccel.report.report import Report

VARIABLE = "GITHUB_STEP_SUMMARY"
"""The variable of the environment that names the file."""
_MOST_BYTES = 1024 * 1024
"""GitHub shows no longer summary of a step."""


def append_summary(report: Report, path: Path) -> None:
    """Append a report to the file, shortened so that the whole file stays short enough.

    Raises:
        OSError: it can't be written.
    """
    with path.open("a+b") as file:
        before = file.tell()
        if before:
            file.write(b"\n\n")
        file.write(markdown(report, max(_MOST_BYTES - before - 2, 0)).encode(errors="backslashreplace"))
