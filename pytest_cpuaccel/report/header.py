"""What stands above the tests: backends with their versions, what is missing, threads and CPU."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.machine.cpu import this_machine

_PREFIX = "cpuaccel: "
_NO_BREAK_SPACE = "\u00a0"


def header(
    chosen: Sequence[Backend], missing: Mapping[str, str], threads: int, width: float = math.inf
) -> Iterator[str]:
    """Yield the header's lines for the backends that tests run under, folded to fit ``width`` characters."""
    machine = this_machine()
    running = [backend for backend in chosen if backend.name not in missing]
    yield from _folded([backend.name for backend in running] or ["no backend"], width)
    yield from _folded([f"{name} {version}" for name, version in _versions(running).items()], width)
    for reason in missing.values():
        yield f"{_PREFIX}skipped {reason}"
    isa = f" ({' '.join(machine.isa)})" if machine.isa else ""
    yield f"{_PREFIX}{threads} thread{'s' * (threads > 1)} of {machine.cpus} | {machine.cpu}{isa}"


def _versions(backends: Iterable[Backend]) -> dict[str, str]:
    """The version of each distribution that one of the backends needs."""
    return {name: version for backend in backends for name, version in backend.versions.items()}


def _folded(words: Iterable[str], width: float) -> list[str]:
    """The words on lines, with commas; a word is never broken, even if there are spaces in it."""
    text = ", ".join(word.replace(" ", _NO_BREAK_SPACE) for word in words)
    room = int(min(max(width - len(_PREFIX), 1), len(text) + 1))
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return [f"{_PREFIX}{line.replace(_NO_BREAK_SPACE, ' ')}" for line in lines]
