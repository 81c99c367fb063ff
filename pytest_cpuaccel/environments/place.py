"""Places in the cache: a few folders, each used by one session at a time and empty before and after."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_cpuaccel.environments.own_folder import begin, remove

_PLACES = 16
"""Sessions that can have a place at the same time; a further one has a temporary folder."""


def place_in(root: Path, held: contextlib.ExitStack) -> Path:
    """Return an empty folder that no other session uses until ``held`` ends, when it goes.

    What killed sessions left in other places goes too.
    """
    mine: Path | None = None
    for number in range(1, _PLACES + 1):
        place = root / str(number)
        if mine is not None and not place.exists():
            continue
        with contextlib.suppress(OSError, Timeout), contextlib.ExitStack() as taking:
            root.mkdir(parents=True, exist_ok=True)
            taking.enter_context(FileLock(root / f"{number}.lock", is_singleton=False).acquire(timeout=0))
            remove(place)
            if mine is None:
                taking.callback(remove, place)
                begin(place)
                held.enter_context(taking.pop_all())
                mine = place
    return mine or Path(held.enter_context(tempfile.TemporaryDirectory(prefix="cpuaccel-")))
