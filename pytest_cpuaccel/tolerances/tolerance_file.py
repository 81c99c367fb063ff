"""The file of a tolerance lock, as it stands on disk."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.given_value import shown
from pytest_cpuaccel.core.tolerance_lock import Lock, LockKey
from pytest_cpuaccel.tolerances.entry import Entry, entry_of

NAME = "cpuaccel-tolerances.toml"
VERSION = 1

_HEADER = re.compile(r"\s*\[\[\s*tolerance\s*\]\]\s*(#.*)?")
_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)|\s*\(at end of document\)")
_MEND = "mend it, or take the file from version control, or delete it and write it anew by --cpu-tolerances=write"


@dataclass(frozen=True)
class ToleranceFile:
    """``text`` is all of it; ``headers`` are the lines, from 0, in which entries begin."""

    path: Path
    text: str
    entries: Mapping[LockKey, Entry]
    headers: tuple[int, ...] = ()

    @property
    def has_crlf(self) -> bool:
        """Tell whether all its lines end as on Windows."""
        return "\n" in self.text and self.text.count("\n") == self.text.count("\r\n")

    @property
    def plain(self) -> str:
        """Return the text, with the line ends of Unix in place of those of Windows."""
        return self.text.replace("\r\n", "\n") if self.has_crlf else self.text

    @property
    def locks(self) -> dict[LockKey, Lock]:
        """Return the tolerances by what they are for."""
        return {key: entry.lock(self.path.name) for key, entry in self.entries.items()}


def read_file(path: Path) -> ToleranceFile:
    """Return the file at a path.

    Raises:
        UsageError: it can't be read, is no TOML, or an entry has no meaning; the text names file and line.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name}: byte {error.start} is no UTF-8; save the file as UTF-8") from None
    except OSError as refusal:
        raise UsageError(f"can't read {str(path)!r}: {refusal.strerror}") from None
    return file_of(path, text)


def file_of(path: Path, text: str) -> ToleranceFile:
    """Return the file that a text would be.

    Raises:
        UsageError: as :func:`read_file`.
    """
    document = _document(path, text)
    if document.get("version", VERSION) != VERSION:
        raise UsageError(f"{path.name}: version = {shown(document['version'])} is not known; write version = {VERSION}")
    for name in document:
        if name not in ("version", "tolerance"):
            raise UsageError(
                f"{path.name}, line {_line_of(text, name)}: no table is named {name!r}; write [[tolerance]]"
            )
    tables = document.get("tolerance", [])
    if not isinstance(tables, list):
        raise UsageError(
            f"{path.name}, line {_line_of(text, 'tolerance')}: write [[tolerance]], an entry for each output"
        )
    headers = tuple(number for number, line in enumerate(lines_of(text)) if _HEADER.fullmatch(line.rstrip("\r\n")))
    if len(headers) != len(tables):  # a list in line, or a text over several lines
        headers = ()
    return ToleranceFile(path, text, _entries(path, tables, headers), headers)


def _entries(path: Path, tables: list[Any], headers: tuple[int, ...]) -> dict[LockKey, Entry]:
    entries: dict[LockKey, Entry] = {}
    for number, table in enumerate(tables):
        line = headers[number] + 1 if headers else 0
        place = f"{path.name}, line {line}" if line else f"{path.name}, entry {number + 1}"
        try:
            entry = entry_of(table, line)
        except UsageError as mistake:
            raise UsageError(f"{place}: {mistake}") from None
        if entry.key in entries:
            also = f", also line {entries[entry.key].line}" if line else ""
            raise UsageError(f"{place}{also}: two entries for {entry.key}; keep one")
        entries[entry.key] = entry
    return entries


def _document(path: Path, text: str) -> dict[str, Any]:
    try:
        toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    except ImportError:
        raise UsageError(f"{path.name} can't be read without tomli: pip install tomli") from None
    try:
        found: dict[str, Any] = toml.loads(text)
    except toml.TOMLDecodeError as error:
        line = _AT_LINE.search(str(error))
        number = line[1] if line and line[1] else text.count("\n") + 1
        raise UsageError(f"{path.name}, line {number}: {_AT_LINE.sub('', str(error))}; {_MEND}") from None
    except RecursionError:
        raise UsageError(f"{path.name}: values stand within values too deep to be read; {_MEND}") from None
    except ValueError as error:  # of a whole number of thousands of digits
        raise UsageError(f"{path.name}: {str(error).partition(';')[0]}; {_MEND}") from None
    return found


def _line_of(text: str, name: str) -> int:
    """The line, from 1, of a top-level name."""
    begins = re.compile(rf"\s*\[*\s*[\"']?{re.escape(name)}\b")
    return next((number for number, line in enumerate(lines_of(text), 1) if begins.match(line)), 1)


def lines_of(text: str) -> list[str]:
    """Return the lines of TOML with their ends; ``splitlines`` knows other ends too, which its texts may hold."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
