"""A proposal: what a run's needs change in the file, and what they leave as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.rounding import LOCK_MARGIN
from pytest_cpuaccel.core.tolerance_lock import LockKey, Need
from pytest_cpuaccel.tolerances.entry import Entry, figures_of, written
from pytest_cpuaccel.tolerances.tolerance_file import VERSION, ToleranceFile, file_of, lines_of

LOOSE = 10.0
"""Times as much as a run needed from which on an entry is called loose."""

_BEGINNING = f"""\
# How far each output may be off eager's, in place of the default tolerance. Review it like code.
# pytest --cpu-tolerances=write adds what is missing and tightens what is ten times too loose. It loosens nothing.
# rmse: root mean square of the error over that of eager's output. max: largest error over its largest value.
# Both are {LOCK_MARGIN:g} times the larger of what was measured and of eager's own error, more for few elements: other
# versions and instruction sets round elsewhere. They are never more than the default tolerance allows.
version = {VERSION}
"""
_FIELD = r"(?m)^([ \t]*{name}[ \t]*=[ \t]*)(\[[^\]\r\n]*\]|\"(?:[^\"\\\r\n]|\\.)*\"|[^#\s]+)"


@dataclass(frozen=True)
class Proposal:
    """``new`` are added and ``tightened`` replaced; ``looser`` entries and ``refused`` needs change nothing.

    ``loose`` are all entries that are over ``LOOSE`` times looser than needed.
    """

    file: ToleranceFile
    new: dict[LockKey, Need] = field(default_factory=dict)
    loose: dict[LockKey, Need] = field(default_factory=dict)
    looser: dict[LockKey, Need] = field(default_factory=dict)
    refused: dict[LockKey, Need] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return the file with the new entries and the tightened ones; all else stands as it was.

        Raises:
            UsageError: it is written in a way that can't be changed line by line.
        """
        if not self.new and not self.loose:
            return self.file.text
        if len(self.file.headers) != len(self.file.entries):
            raise UsageError(f"{self.file.path.name} can't be changed by line; write each entry below [[tolerance]]")
        head, blocks = _blocks(self.file)
        changed = {key: _changed(block, self.loose[key]) if key in self.loose else block for key, block in blocks}
        text = head + "".join(_merged(changed, self.new))
        self._check(text)
        return text

    def _check(self, text: str) -> None:
        """Check that a text says what is meant.

        Raises:
            UsageError: it doesn't.
        """
        meant = {key: (entry.rmse, entry.largest) for key, entry in self.file.entries.items()}
        meant |= {key: _limits(need) for key, need in (self.loose | self.new).items()}
        try:
            told = {key: (entry.rmse, entry.largest) for key, entry in file_of(self.file.path, text).entries.items()}
        except UsageError:
            told = {}
        if told != meant:
            raise UsageError(f"{self.file.path.name} can't be changed by line; write each field on a line of its own")


def proposal(file: ToleranceFile, needs: Mapping[LockKey, Need]) -> Proposal:
    """Return what the needs of a run propose."""
    found = Proposal(file)
    for key, need in sorted(needs.items()):
        entry = file.entries.get(key)
        group = _group(found, entry, need)
        if group is not None:
            group[key] = need
    return found


def is_loose(entry: Entry, need: Need) -> bool:
    """Tell whether an entry allows over ``LOOSE`` times what was needed, by both its limits."""
    rmse, largest = _limits(need)
    return entry.rmse > LOOSE * rmse and entry.largest > LOOSE * largest


def _group(found: Proposal, entry: Entry | None, need: Need) -> dict[LockKey, Need] | None:
    """The group of a proposal that a need belongs to; None where its entry does."""
    holds = entry is not None and need.measured_rmse <= entry.rmse and need.measured_largest <= entry.largest
    if need.refusal:
        return None if holds else found.refused
    if entry is None:
        return found.new
    if not holds:
        return found.looser
    return found.loose if is_loose(entry, need) else None


def _limits(need: Need) -> tuple[float, float]:
    figures = figures_of(need)
    return float(figures["rmse"]), float(figures["max"])


def _blocks(file: ToleranceFile) -> tuple[str, list[tuple[LockKey, str]]]:
    """What stands above the first entry, and each entry with the comment right above it."""
    if not file.entries:
        text = file.text or _BEGINNING
        return text if text.endswith("\n") else f"{text}\n", []
    lines = lines_of(file.text)
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


def _merged(blocks: Mapping[LockKey, str], new: Mapping[LockKey, Need]) -> Iterator[str]:
    """The entries that are there in their order, each new one before the first that comes after it."""
    pending = sorted(new)
    for key, block in blocks.items():
        while pending and pending[0] < key:
            key_of_new = pending.pop(0)
            yield f"{written(key_of_new, new[key_of_new])}\n"
        yield block
    for key in pending:
        yield f"\n{written(key, new[key])}"


def _changed(block: str, need: Need) -> str:
    """An entry with the figures of a need; its comments and other lines stay."""
    added = []
    for name, value in figures_of(need).items():
        literal = value.replace("\\", r"\\")
        block, count = re.subn(_FIELD.format(name=name), rf"\g<1>{literal}", block)
        if not count:
            added.append(f"{name} = {value}\n")
    body = block.rstrip()
    return f"{body}\n{''.join(added)}{block[len(body) :].removeprefix(chr(10))}" if added else block
