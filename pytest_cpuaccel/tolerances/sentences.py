"""What is said of a tolerance lock when a run ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_cpuaccel.core.tolerance_lock import LockKey, Need
from pytest_cpuaccel.tolerances.entry import Entry
from pytest_cpuaccel.tolerances.proposal import Proposal

_MOST = 5
"""Entries that are named, of each kind."""


def of_proposal(found: Proposal) -> str:
    """Return what was written: ``a.toml: 2 entries proposed, 1 would be looser and was left``."""
    counts = [f"{len(found.new)} entr{'y' if len(found.new) == 1 else 'ies'} proposed"]
    more = len(found.tests) - len(found.new) - len(found.widened) - len(found.tightened)
    counts += [
        f"{count} {done}"
        for count, done in (
            (len(found.tightened), "tightened"),
            (len(found.widened), "widened for new tests"),
            (more, "now name new tests" if more > 1 else "now names new tests"),
        )
        if count
    ]
    if found.looser:
        counts.append(f"{len(found.looser)} would be looser and stayed")
    if found.refused:
        counts.append(f"{len(found.refused)} refused")
    if found.tests:
        counts.append("to be reviewed")
    return f"{found.file.path.name}: {', '.join(counts)}"


def of_what_stays(found: Proposal) -> Iterator[str]:
    """Yield a line for each entry that would be looser, and for each output that no tolerance is justified of."""
    for key, need in _first(found.looser):
        measured, allowed = _both(need.measured_rmse, need.measured_largest), _allowed(found.file.entries[key])
        yield (
            f"{_place(found, key)} would be looser: {key} was off by {measured}, allowed {allowed}; delete the entry "
            "and write again to accept it"
        )
    for key, need in _first(found.refused):
        yield f"no tolerance is proposed for {key}: {need.refusal}"
    for group in (found.looser, found.refused):
        if len(group) > _MOST:
            yield f"and {len(group) - _MOST} more {'such entries' if group is found.looser else 'outputs refused'}"


def of_loose(found: Proposal) -> Iterator[str]:
    """Yield a line for each entry that is looser than needed."""
    for key, need in _first(found.loose):
        entry = found.file.entries[key]
        times = min(entry.rmse / need.rmse, entry.largest / need.largest)
        by_hand = "it names no tests, so that it stays as you wrote it"
        yield (
            f"{_place(found, key)} is {times:.0f} times looser than this run needed: {key} is allowed "
            f"{_allowed(entry)}, and {_both(need.rmse, need.largest)} would do; "
            f"{by_hand if entry.tests is None else '--cpu-tolerances=write tightens it'}"
        )
    if len(found.loose) > _MOST:
        yield f"and {len(found.loose) - _MOST} more entries that are over ten times looser than needed"


def of_new_tests(found: Proposal) -> Iterator[str]:
    """Yield a line for each entry that tests are past which it was not measured in."""
    for key, need in _first(found.widened):
        yield (
            f"{_place(found, key)} was not measured in all tests of this run: {key} was off by "
            f"{_both(need.measured_rmse, need.measured_largest)}, allowed {_allowed(found.file.entries[key])}; "
            "--cpu-tolerances=write takes new tests in"
        )


def _first(group: Mapping[LockKey, Need]) -> list[tuple[LockKey, Need]]:
    return list(group.items())[:_MOST]


def _place(found: Proposal, key: LockKey) -> str:
    return f"{found.file.path.name}:{found.file.entries[key].line}"


def _allowed(entry: Entry) -> str:
    return _both(entry.rmse, entry.largest)


def _both(rmse: float, largest: float) -> str:
    return f"rmse {rmse:.1e}, max {largest:.1e}"
