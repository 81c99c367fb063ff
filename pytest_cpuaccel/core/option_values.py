"""The values of options, of pytest's command line and of ours: each function parses one kind, or refuses a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from pytest_cpuaccel.core.errors import UsageError

REPORT_SUFFIXES = (".json", ".md", ".html")
_AFTER_REPORT = re.compile(rf"\s*[,\n]\s*|(?:{'|'.join(f'(?<={re.escape(end)})' for end in REPORT_SUFFIXES)})\s+")
"""The separator of two reports: a comma, a line end, or spaces after an ending; other spaces belong to a name."""


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


def report_paths(text: str) -> tuple[Path, ...]:
    """Return the paths of reports, as they are written, each once.

    Raises:
        UsageError: one has an ending of no form of report.
    """
    paths = tuple(Path(name) for name in dict.fromkeys(_AFTER_REPORT.split(text.strip())) if name)
    if text.strip() and not paths:
        raise UsageError(f"{text!r} names no file")
    for path in paths:
        if path.suffix not in REPORT_SUFFIXES:
            raise UsageError(f"{str(path)!r} ends in none of {', '.join(REPORT_SUFFIXES)}")
    return paths


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

    return parse_duration_ns(text) / 1e9


def folder(text: str) -> Path | None:
    """Return the path of a folder, as it is written; None for an empty text."""
    return Path(text) if text else None


def check_writable(paths: Iterable[Path], where: str) -> None:
    """Try now to write reports: otherwise an error would come only with the first result.

    ``where`` is the place of the setting, for messages.

    Raises:
        UsageError: names the path and the system's reason, or what the form of the report needs.
    """
    for path in paths:
        if path.suffix == ".html":
            _check_jinja(path, where)
        existed = path.exists()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("a").close()
        except OSError as refusal:
            raise UsageError(f"{where}: can't write {str(path)!r}: {refusal.strerror}") from None
        if not existed:
            path.unlink()


def _check_jinja(path: Path, where: str) -> None:
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"{where}: {str(path)!r} needs Jinja2, which can't be imported: {error}; "
            'pip install "pytest-cpuaccel[html]"'
        ) from None
