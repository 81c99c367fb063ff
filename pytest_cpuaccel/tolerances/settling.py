"""The end of a run: its needs are compared with the file, which is written where that was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.tolerance_lock import LockKey, Need
from pytest_cpuaccel.report.whole_file import refused, write_whole
from pytest_cpuaccel.tolerances import sentences
from pytest_cpuaccel.tolerances.proposal import Proposal, proposal
from pytest_cpuaccel.tolerances.tolerance_file import ToleranceFile, read_file


def merged(needs: list[Mapping[LockKey, Need]]) -> dict[LockKey, Need]:
    """Return what covers the needs of several tests."""
    found: dict[LockKey, Need] = {}
    for of_test in needs:
        for key, need in of_test.items():
            found[key] = found[key].worse_of(need) if key in found else need
    return found


def told_loose(path: Path, needs: Mapping[LockKey, Need]) -> Iterator[str]:
    """Yield what is looser in the file than a run needed; nothing of a file that can't be read any more."""
    try:
        found = proposal(read_file(path), needs)
    except UsageError:
        return
    yield from sentences.of_loose(found)


def write(path: Path, needs: Mapping[LockKey, Need]) -> Iterator[str]:
    """Add to the file what a run needs and the file lacks, and tighten what is too loose; yield what was done."""
    try:
        found = proposal(read_file(path) if path.exists() else ToleranceFile(path, "", {}), needs)
        _write(found)
    except UsageError as mistake:
        yield f"no tolerance was written: {mistake}"
        return
    except OSError as refusal:
        yield f"no tolerance was written: {refused(path, refusal)}"
        return
    yield sentences.of_proposal(found)
    yield from sentences.of_what_stays(found)


def _write(found: Proposal) -> None:
    text = found.text
    if text != found.file.text:
        write_whole(found.file.path, [text])
