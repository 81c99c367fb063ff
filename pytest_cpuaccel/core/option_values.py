"""The values of options, of pytest's command line and of ours: each function parses one kind, or refuses a text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pytest_cpuaccel.core.errors import UsageError

REPORT_SUFFIXES = (".json", ".md", ".html")
GITHUB = "github"
"""The word for a report that goes to GitHub Actions and to no file of its own."""
_AFTER_REPORT = re.compile(rf"\s*[,\n]\s*|(?:{'|'.join(f'(?<={re.escape(end)})' for end in REPORT_SUFFIXES)})\s+")
"""The separator of two reports: a comma, a line end, or spaces after an ending; other spaces belong to a name."""


class Reports(NamedTuple):
    """The files to write, and whether GitHub Actions is told as well."""

    files: tuple[Path, ...]
    on_github: bool


class Tolerances(NamedTuple):
    """``mode`` is judge, write or off; ``path`` is that of the file, None for the usual one."""

    mode: str
    path: Path | None

    @property
    def is_written(self) -> bool:
        """Return whether the run writes the file."""
        return self.mode == "write"


def backend_names(text: str) -> tuple[str, ...]:
    """Return the names and globs in a text, separated by commas or spaces.

    Raises:
        UsageError: there is nothing between two commas.
    """
    if text and not all(part.strip() for part in text.split(",")):
        raise UsageError(f"{text!r} has an empty name; leave out the comma, or name a backend there")
    return tuple(text.replace(",", " ").split())


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a function that parses one of these words.

    It raises UsageError for any other text.
    """

    def parse(text: str) -> str:
        if text not in choices:
            raise UsageError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return parse


def threads(text: str) -> int:
    """Return a number of threads.

    Raises:
        UsageError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"{text!r} is not a number of threads; write 1 or more")
    return int(text)


def reports_named(text: str) -> Reports:
    """Return the reports that a text names, each once, with their paths as they are written.

    Raises:
        UsageError: one has an ending of no form of report.
    """
    names = {name: None for part in _AFTER_REPORT.split(text.strip()) for name in _without_github(part) if name}
    if text.strip() and not names:
        raise UsageError(f"{text!r} names no file")
    on_github = names.pop(GITHUB, False) is None
    for name in names:
        if Path(name).suffix not in REPORT_SUFFIXES:
            raise UsageError(f"{name!r} ends in none of {', '.join(REPORT_SUFFIXES)}, and is not the word {GITHUB}")
    return Reports(tuple(map(Path, names)), on_github)


def report_paths(text: str) -> tuple[Path, ...]:
    """Return the paths of reports, as they are written, each once.

    Raises:
        UsageError: one has an ending of no form of report, or is for GitHub.
    """
    found = reports_named(text)
    if found.on_github:
        raise UsageError(f"{GITHUB!r} is for tests, whose marks it annotates; name a file, such as run.md")
    return found.files


def _without_github(part: str) -> tuple[str, ...]:
    """The word and the name of a file after it, where spaces alone separate them."""
    word, space, rest = part.partition(" ")
    return (word, rest.strip()) if word == GITHUB and space else (part,)


def lock_to_judge_by(text: str) -> Path | None:
    """Return the file of a tolerance lock that is judged by: ``FILE.toml``; None for ``off``.

    Raises:
        UsageError: it is neither.
    """
    given = tolerances(text)
    if given.is_written:
        raise UsageError(f"{text!r} is for pytest, whose tests an entry names; write FILE.toml, or off")
    return given.path


def tolerances(text: str) -> Tolerances:
    """Return what a run does with a tolerance lock: ``write``, ``write:FILE.toml``, ``FILE.toml`` or ``off``.

    Raises:
        UsageError: it is none of them.
    """
    word, colon, name = text.partition(":")
    if word != "write":
        word, name = ("off", "") if text == "off" else ("judge", text)
    if (name or colon) and Path(name).suffix != ".toml":
        raise UsageError(f"{text!r} is none of write, write:FILE.toml, FILE.toml and off")
    return Tolerances(word, Path(name) if name else None)


def number_of_bytes(text: str) -> int:
    """Return the bytes in a text such as ``20 GB``.

    Raises:
        UsageError: it is no size.
    """
    from pytest_cpuaccel.core.units import parse_bytes

    return parse_bytes(text)


def seconds(text: str) -> float:
    """Return the seconds in a text such as ``600 s``.

    Raises:
        UsageError: it is no time.
    """
    from pytest_cpuaccel.core.units import parse_duration_ns

    return parse_duration_ns(text, example="600 s") / 1e9


def folder(text: str) -> Path | None:
    """Return the path of a folder, as it is written; None for an empty text."""
    return Path(text) if text else None
