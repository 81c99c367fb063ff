"""What a process imported from the user's tree, though a checkout stands for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from pytest_cpuaccel.environments.bootstrap import moved_path

_OURS = "pytest_cpuaccel"


def imported_from_here(moved: Iterable[tuple[Path, Path]]) -> list[str]:
    """Return the names of modules of this process that were imported from a tree that a checkout should stand for.

    Such a module is today's code. This happens where a package finds its modules in a way of its own, such as the
    loader of an editable install of compiled code.
    """
    pairs = [(os.path.realpath(tree), os.path.realpath(checkout)) for tree, checkout in moved]
    found = []
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        is_users = name != "__main__" and name.partition(".")[0] != _OURS
        if is_users and isinstance(path, str) and moved_path(path, pairs) != path:
            found.append(name)
    return sorted(found)
