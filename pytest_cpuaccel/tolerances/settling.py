"""The end of a run: its needs are compared with the file, which is written where that was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.tolerance_lock import LockKey, Need
from pytest_cpuaccel.report.whole_file import refused, write_whole
from pytest_cpuaccel.tolerances import sentences
from pytest_cpuaccel.tolerances.proposal import Proposal, proposal
from pytest_cpuaccel.tolerances.seen import seen_in
from pytest_cpuaccel.tolerances.tolerance_file import ToleranceFile, read_file

NeedsOfTests = Mapping[str, Mapping[LockKey, Need]]


def told(path: Path, needs: NeedsOfTests) -> Iterator[str]:
    """Yield what the file has looser than a run needed, and what it lacks of new tests.

    Nothing is said of a file that can't be read any more. ``needs`` are those of each test, by its node id.
    """
    try:
        found = proposal(read_file(path), seen_in(needs))
    except UsageError:
        return
    yield from sentences.of_loose(found)
    yield from sentences.of_new_tests(found)


def write(path: Path, needs: NeedsOfTests) -> Iterator[str]:
    """Add to the file what a run needs and the file lacks, and tighten what is too loose; yield what was done.

    ``needs`` are those of each test, by its node id.
    """
    try:
        found = proposal(read_file(path) if path.exists() else ToleranceFile(path, "", {}), seen_in(needs))
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
