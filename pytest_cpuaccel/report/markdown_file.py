"""The Markdown report, for a pull request: what failed and why, the totals, the table, and what it was measured on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.closing import closing, undecided_count
from pytest_cpuaccel.report.kernels import kernel_lines
from pytest_cpuaccel.report.markdown_text import block, code, plain, shortened
from pytest_cpuaccel.report.narrow_table import narrow_table
from pytest_cpuaccel.report.problem import Problem, problems
from pytest_cpuaccel.report.reasons import reasons
from pytest_cpuaccel.report.report import Report
from pytest_cpuaccel.report.row import Row

COMMENT_BYTES = 65_536
"""GitHub takes no longer comment; it counts characters, of which no text has more than bytes."""

_TESTS, _EVIDENCE_LINES = 10, 8
"""The most tests, and lines of evidence, of one failure."""
_LINE, _SENTENCE, _NAME, _CELL, _COMMAND = 300, 1000, 300, 100, 2000
"""The most characters of what a user's names and messages may make long."""
_FRAME_BYTES = 1000
"""What headings, and the line on what is left out, take at most."""


def markdown(report: Report, limit_bytes: int = COMMENT_BYTES) -> str:
    """Return the report as GitHub-flavoured Markdown of at most ``limit_bytes``, as far as the failures allow.

    Of a longer one the end of each part is left out, and a line says so: first explanations of failures, then lines of
    the table, then reasons of what was not decided or skipped.
    """
    found = problems(report.rows)
    failed, undecided = ([each for each in found if each.fails is fails] for fails in (True, False))
    judged = [row for row in report.rows if row.is_judged]
    head, foot = _head(report, failed), _environment(report)
    page = _Page(limit_bytes - _size((*head, foot)) - _FRAME_BYTES)
    failures = page.failures(_Failure.grouped(failed))
    table = page.table(report.rows)
    left_open = page.folded(Outcome.INCONCLUSIVE.value, [each.sentence for each in _Failure.grouped(undecided)])
    kernels = page.folded("Kernels", [plain(shortened(line, _SENTENCE)) for line in kernel_lines(judged)])
    quiet = page.folded("Not judged", [plain(line) for line in reasons(judged)])
    notes = page.folded("Notes", [plain(shortened(note, _SENTENCE)) for note in report.notes])
    parts = [head[0], *failures, head[1], page.left_out(limit_bytes), table, left_open, quiet, kernels, notes, foot]
    return "\n\n".join(part for part in parts if part) + "\n"


@dataclass(frozen=True)
class _Failure:
    """One problem, of all the tests that have it."""

    problem: Problem
    tests: Sequence[str]

    @classmethod
    def grouped(cls, found: Iterable[Problem]) -> list[_Failure]:
        """Return the problems, those that differ by nothing but the test as one."""
        alike: dict[object, list[Problem]] = defaultdict(list)
        for each in found:
            alike[each.label, each.sentence, each.evidence, each.hints].append(each)
        return [cls(of[0], list(dict.fromkeys(each.row.test for each in of))) for of in alike.values()]

    @property
    def explained(self) -> str:
        """Return the sentence, the evidence and the hints."""
        lines = [shortened(line, _LINE) for line in self.problem.evidence[:_EVIDENCE_LINES]]
        more = len(self.problem.evidence) - len(lines)
        if more:
            lines.append(f"... and {more} more line{'s' * (more > 1)}")
        hints = (f"- {plain(shortened(hint, _SENTENCE))}" for hint in self.problem.hints)
        return "\n\n".join(filter(None, (self.sentence, block(lines) if lines else "", "\n".join(hints))))

    @property
    def sentence(self) -> str:
        """Return the sentence, with the tests in front."""
        names = [code(shortened(test, _NAME)) for test in self.tests[:_TESTS]]
        more = len(self.tests) - len(names)
        tests = f"{', '.join(names)}{f' and {more} more' if more else ''}"
        return f"**{self.problem.label}** {tests}: {plain(shortened(self.problem.sentence, _SENTENCE))}"


@dataclass
class _Page:
    """``room`` is what is left of the page, in bytes; ``missing`` says what found no room."""

    room: int
    missing: list[str] = field(default_factory=list)

    def failures(self, failed: Sequence[_Failure]) -> list[str]:
        """Return a text for each failure; those that the page has no room to explain are one sentence."""
        texts = [failure.sentence for failure in failed]
        spare = self.room - _size(texts)
        for at, failure in enumerate(failed):
            spare -= _size([failure.explained]) - _size([texts[at]])
            if spare < 0:
                self.missing.append(_count(len(failed) - at, "explanation of a failure", "explanations of failures"))
                break
            texts[at] = failure.explained
        return self._fitting(texts, "failure", "failures")

    def table(self, rows: Sequence[Row]) -> str:
        """Return the table; lines that stay away are of what passed, as long as there are such."""
        if not rows:
            return "Nothing was judged."
        headings, lines = narrow_table(rows)
        texts = [_line(_cells(headings, line, row)) for row, line in zip(rows, lines, strict=True)]
        important = sorted(range(len(texts)), key=lambda at: (not rows[at].is_bad, rows[at].word == Outcome.PASS.value))
        kept = self._fitting([texts[at] for at in important], "line of the table", "lines of the table")
        shown = (texts[at] for at in sorted(important[: len(kept)]))
        return "\n".join((_line(headings), _line("---" for _ in headings), *shown)) if kept else ""

    def folded(self, heading: str, texts: Sequence[str]) -> str:
        """Return a list that opens with a click."""
        kept = self._fitting([f"- {text}" for text in texts], f'line of "{heading}"', f'lines of "{heading}"')
        return _details(heading, "\n".join(kept)) if kept else ""

    def left_out(self, limit_bytes: int) -> str:
        """Return a line on what found no room; "" if all did."""
        if not self.missing:
            return ""
        return f"Left out, since GitHub shows no more than {limit_bytes} bytes here: {', '.join(self.missing)}."

    def _fitting(self, texts: Sequence[str], one: str, several: str) -> list[str]:
        """The first of the texts, as many as there is room for."""
        kept: list[str] = []
        for text in texts:
            if _size([text]) > self.room:
                self.missing.append(_count(len(texts) - len(kept), one, several))
                self.room = 0
                break
            self.room -= _size([text])
            kept.append(text)
        return kept


def _head(report: Report, failed: Sequence[Problem]) -> tuple[str, str]:
    """The title and the totals, between which the failures stand."""
    tests = len({problem.row.test for problem in failed})
    title = f"{tests} failed test{'s' * (tests > 1)}" if tests else "no failure" if report.rows else ""
    if report.failures and not tests:
        title = "the run failed"
    undecided = undecided_count(report.rows)
    if undecided:
        title += f", {undecided} result{'s' * (undecided > 1)} not decided"
    totals = closing(report.rows)
    of_run = [f"**The run fails:** {plain(shortened(sentence, _SENTENCE))}" for sentence in report.failures]
    head = "\n\n".join((f"## CPU backends{f': {title}' if title else ''}", *of_run))
    return head, f"**{totals}**" if totals else ""


def _cells(headings: Sequence[str], line: Sequence[str], row: Row) -> Iterator[str]:
    for heading, cell in zip(headings, line, strict=True):
        text = shortened(cell, _CELL)
        if heading == "verdict" and row.is_bad:
            yield f"**{plain(text)}**"
        else:
            yield code(text) if heading == "test" else plain(text)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _environment(report: Report) -> str:
    run = report.run
    took = "" if run.seconds is None else f", took {run.seconds:g} s"
    facts = {
        "command": code(shortened(run.command, _COMMAND)),
        "commit": plain(run.commit_label),
        "started": plain(f"{run.started}{took}"),
    }
    for name, value in report.environment.items():
        facts[name] = plain(str(value) if isinstance(value, (str, int, float)) else ", ".join(value))
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)
    return _details("Environment, command and commit", listed)


def _details(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _size(texts: Sequence[str]) -> int:
    """The bytes of the texts, with the blank line after each."""
    return sum(len(text.encode(errors="backslashreplace")) + 2 for text in texts)
