"""A proposal: what a run saw changes in the file, and what it leaves as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.rounding import LOCK_MARGIN
from pytest_cpuaccel.core.tolerance_lock import LockKey, Need
from pytest_cpuaccel.tolerances.entry import Entry, fields_of, tests_field, written
from pytest_cpuaccel.tolerances.seen import Cases, Seen, worst_of
from pytest_cpuaccel.tolerances.tolerance_file import VERSION, ToleranceFile, file_of, lines_of

LOOSE = 10.0
"""Times as much as a run needed from which on an entry is called loose."""

_BEGINNING = f"""\
# How far each output may be off eager's, in place of the default tolerance. Review it like code.
# pytest --cpu-tolerances=write adds what is missing, tightens what is ten times too loose, and takes in new tests.
# rmse: root mean square of the error over that of eager's output. max: largest error over its largest value.
# Both are {LOCK_MARGIN:g} times the larger of what was measured and of eager's own error, more for few elements: other
# versions and instruction sets round elsewhere. They are never more than the default tolerance allows.
version = {VERSION}
"""
_TEXT = r'"(?:[^"\\\r\n]|\\.)*"'
_FIELD = rf"(?m)^([ \t]*{{name}}[ \t]*=[ \t]*)(\[(?:{_TEXT}|[^\]\"\r\n])*\]|{_TEXT}|[^#\s]+)"


@dataclass(frozen=True)
class Proposal:
    """``new`` are added, ``tightened`` and ``widened`` replaced; of others ``noted`` gets the names of more tests.

    ``widened`` are what tests need that an entry was not measured in, together with what it allows. ``loose`` are all
    entries that are over ``LOOSE`` times looser than needed: those that name no tests are not tightened. ``looser``
    entries and ``refused`` needs change nothing. ``tests`` are those of each entry that is written.
    """

    file: ToleranceFile
    new: dict[LockKey, Need] = field(default_factory=dict)
    widened: dict[LockKey, Need] = field(default_factory=dict)
    loose: dict[LockKey, Need] = field(default_factory=dict)
    looser: dict[LockKey, Need] = field(default_factory=dict)
    refused: dict[LockKey, Need] = field(default_factory=dict)
    tests: dict[LockKey, Cases] = field(default_factory=dict)

    @property
    def tightened(self) -> dict[LockKey, Need]:
        """Return the loose entries that are written anew."""
        return {key: need for key, need in self.loose.items() if self.file.entries[key].tests is not None}

    @property
    def text(self) -> str:
        """Return the file with the new entries and the changed ones; all else stands as it was.

        Raises:
            UsageError: it is written in a way that can't be changed line by line.
        """
        if not self.tests:
            return self.file.text
        if len(self.file.headers) != len(self.file.entries):
            raise UsageError(f"{self.file.path.name} can't be changed by line; write each entry below [[tolerance]]")
        head, blocks = _blocks(self.file)
        changed = {key: _changed(block, self._fields(key)) if key in self.tests else block for key, block in blocks}
        text = head + "".join(_merged(changed, {key: self._fields(key) for key in self.new}))
        if self.file.has_crlf:
            text = text.replace("\n", "\r\n")
        self._check(text)
        return text

    @property
    def _replaced(self) -> dict[LockKey, Need]:
        return self.new | self.widened | self.tightened

    def _fields(self, key: LockKey) -> dict[str, str]:
        need, tests = self._replaced.get(key), self.tests[key]
        return {"tests": tests_field(tests)} if need is None else fields_of(need, tests)

    def _check(self, text: str) -> None:
        """Check that a text says what is meant.

        Raises:
            UsageError: it doesn't.
        """
        meant = {key: (entry.rmse, entry.largest, entry.tests) for key, entry in self.file.entries.items()}
        for key, tests in self.tests.items():
            need = self._replaced.get(key)
            limits = meant[key][:2] if need is None else (need.rmse, need.largest)
            meant[key] = (*limits, tests)
        try:
            entries = file_of(self.file.path, text).entries
        except UsageError:
            entries = {}
        if {key: (entry.rmse, entry.largest, entry.tests) for key, entry in entries.items()} != meant:
            raise UsageError(f"{self.file.path.name} can't be changed by line; write each field on a line of its own")


def proposal(file: ToleranceFile, seen: Mapping[LockKey, Seen]) -> Proposal:
    """Return what a run saw proposes."""
    found = Proposal(file)
    for key, of_key in sorted(seen.items()):
        _propose(found, key, of_key)
    return found


def is_loose(entry: Entry, need: Need) -> bool:
    """Tell whether an entry allows over ``LOOSE`` times what was needed, by both its limits."""
    return entry.rmse > LOOSE * need.rmse and entry.largest > LOOSE * need.largest


def _propose(found: Proposal, key: LockKey, seen: Seen) -> None:
    """Put what was seen of an output into the group of a proposal that it belongs to.

    An entry is tightened only where all tests that it names were seen again, and widened only by tests that it doesn't
    name: so no part of a run takes anything from the others, and no test from itself.
    """
    entry, need = found.file.entries.get(key), seen.need
    if need.refusal:
        if entry is None or not _holds(entry, need):
            found.refused[key] = need
    elif entry is None:
        found.new[key], found.tests[key] = need, seen.cases
    elif entry.tests is None:
        if not _holds(entry, need):
            found.looser[key] = need
        elif is_loose(entry, need):
            found.loose[key] = need
    else:
        _change(found, entry, entry.tests, seen)


def _change(found: Proposal, entry: Entry, noted: Cases, seen: Seen) -> None:
    """Propose what becomes of an entry that names its tests."""
    key, need, new = entry.key, seen.need, seen.new_to(noted)
    if any(not _holds(entry, of_test) for test, of_test in seen.needs.items() if test not in new):
        found.looser[key] = need
    elif not _holds(entry, need):
        of_new = worst_of(of_test for test, of_test in seen.needs.items() if test in new)
        rmse, largest = max(entry.rmse, of_new.rmse), max(entry.largest, of_new.largest)
        found.widened[key], found.tests[key] = replace(need, rmse=rmse, largest=largest), seen.with_noted(noted)
    elif seen.covers(noted) and is_loose(entry, need):
        found.loose[key], found.tests[key] = need, seen.with_noted(noted)
    elif new:
        found.tests[key] = seen.with_noted(noted)


def _holds(entry: Entry, need: Need) -> bool:
    return need.measured_rmse <= entry.rmse and need.measured_largest <= entry.largest


def _blocks(file: ToleranceFile) -> tuple[str, list[tuple[LockKey, str]]]:
    """What stands above the first entry, and each entry with the comment right above it."""
    if not file.entries:
        text = file.plain or _BEGINNING
        return text if text.endswith("\n") else f"{text}\n", []
    lines = lines_of(file.plain)
    if not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    starts = [_with_comment(lines, header) for header in file.headers]
    ends = [*starts[1:], len(lines)]
    keys = sorted(file.entries, key=lambda key: file.entries[key].line)
    parts = ("".join(lines[start:end]) for start, end in zip(starts, ends, strict=True))
    return "".join(lines[: starts[0]]), list(zip(keys, parts, strict=True))


def _with_comment(lines: list[str], header: int) -> int:
    start = header
    while start and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return start


def _merged(blocks: Mapping[LockKey, str], new: Mapping[LockKey, Mapping[str, str]]) -> Iterator[str]:
    """The entries that are there in their order, each new one before the first that comes after it."""
    pending = sorted(new)
    for key, block in blocks.items():
        while pending and pending[0] < key:
            key_of_new = pending.pop(0)
            yield f"{written(key_of_new, new[key_of_new])}\n"
        yield block
    for key in pending:
        yield f"\n{written(key, new[key])}"


def _changed(block: str, fields: Mapping[str, str]) -> str:
    """An entry with other values of fields; its comments and other lines stay."""
    added = []
    for name, value in fields.items():
        literal = value.replace("\\", r"\\")
        block, count = re.subn(_FIELD.format(name=name), rf"\g<1>{literal}", block)
        if not count:
            added.append(f"{name} = {value}\n")
    body = block.rstrip()
    return f"{body}\n{''.join(added)}{block[len(body) :].removeprefix(chr(10))}" if added else block
