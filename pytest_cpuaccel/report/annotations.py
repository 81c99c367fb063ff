"""Annotations of GitHub Actions: what is wrong, shown at the lines of the marks that ask for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pytest_cpuaccel.report.markdown_text import shortened
from pytest_cpuaccel.report.problem import Problem

MOST = 10
"""GitHub shows no more errors, and no more warnings, of one step."""

_EVIDENCE_LINES, _TITLE, _LINE = 4, 200, 1000
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


@dataclass(frozen=True)
class Place:
    """``file`` is relative to the repository; ``line`` counts from 1, None where no line is known."""

    file: str
    line: int | None = None


def workflow_commands(found: Iterable[Problem], place_of: Callable[[Problem], Place | None]) -> Iterator[str]:
    """Yield the workflow commands for problems, which stand in the order of their importance: one for each mark.

    What GitHub would not show is counted in a last one.
    """
    marks: dict[tuple[str, str | None, bool], list[Problem]] = defaultdict(list)
    for problem in found:
        marks[problem.row.test, problem.mark, problem.fails].append(problem)
    more = []
    for word, fails in (("error", True), ("warning", False)):
        alike = [each for (_, _, failing), each in marks.items() if failing is fails]
        yield from (_command(word, each, place_of(each[0])) for each in alike[:MOST])
        if len(alike) > MOST:
            count = len(alike) - MOST
            more.append(f"{count} more {word}{'s' * (count > 1)}")
    if more:
        shown = f"GitHub shows no more than {MOST} errors and {MOST} warnings of a step"
        yield f"::notice title=cpuaccel::{' and '.join(more)} are in the summary: {shown}"


def run_commands(failures: Iterable[str]) -> Iterator[str]:
    """Yield a workflow command for each sentence on why the run fails; no line of a file is the cause."""
    for sentence in failures:
        yield f"::error title=cpuaccel::the run fails: {shortened(sentence, _LINE).translate(_DATA)}"


def _command(word: str, of_mark: list[Problem], place: Place | None) -> str:
    title = f"{of_mark[0].label}: {shortened(of_mark[0].row.test.partition('::')[2], _TITLE)}"
    properties = {"file": place.file, "line": place.line} if place else {}
    given = {name: value for name, value in {**properties, "title": title}.items() if value is not None}
    text = "\n".join(line for problem in of_mark for line in _lines(problem))
    shown = ",".join(f"{name}={str(value).translate(_PROPERTY)}" for name, value in given.items())
    return f"::{word} {shown}::{text.translate(_DATA)}"


def _lines(problem: Problem) -> Iterator[str]:
    for line in (problem.sentence, *problem.evidence[:_EVIDENCE_LINES], *(f"hint: {hint}" for hint in problem.hints)):
        yield shortened(line, _LINE)
