"""A Python environment in which the user's suite can be run."""

from __future__ import annotations

import json
import os
import site
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_cpuaccel.environments.bootstrap import is_under, moved_path
from pytest_cpuaccel.environments.companion import Companion

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")


@dataclass(frozen=True)
class Environment:
    """An interpreter with its packages, and a folder in which pytest is to be started.

    ``name`` is for sentences. ``folder`` stands for this session's current folder. ``moved`` are pairs of a folder of
    the user's tree and its checkout: what would be imported from the first comes from the second. ``notes`` are
    sentences about what pip finds wrong with the environment that isn't wrong with the one it was made from.
    """

    name: str
    python: Path
    folder: Path
    moved: tuple[tuple[Path, Path], ...] = ()
    notes: tuple[str, ...] = ()

    def command(self, companion: Companion, arguments: Sequence[str]) -> tuple[str, ...]:
        """Return the command line that starts pytest there with this session's plugin.

        It is meant for the folder ``folder`` and the variables ``variables()``. Absolute paths of the user's tree among
        the arguments of pytest become those of the checkout.
        """
        order = {**companion.order(), "moved": self._pairs()}
        return (str(self.python), str(_BOOTSTRAP), json.dumps(order), *map(self._there, arguments))

    def variables(self) -> Mapping[str, str]:
        """Return the environment variables that a process there gets besides this one's.

        It writes no bytecode: the user's tree and environments stay as they are. Another interpreter doesn't import
        packages of this one by PYTHONPATH.
        """
        found = {"PYTHONDONTWRITEBYTECODE": "1"}
        paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        if self.python != Path(sys.executable):
            paths = [path for path in paths if not _leads_into_this_environment(path)]
            programs = os.pathsep.join(filter(None, (str(self.python.parent), os.environ.get("PATH", ""))))
            found |= {"PATH": programs, "PYTHONHOME": ""}
        pairs = self._pairs()
        return {**found, "PYTHONPATH": os.pathsep.join(moved_path(path, pairs) for path in paths)}

    def _pairs(self) -> list[tuple[str, str]]:
        return [(os.path.realpath(tree), os.path.realpath(checkout)) for tree, checkout in self.moved]

    def _there(self, argument: str) -> str:
        """An argument of pytest with the path in it, as of ``--rootdir=/tree`` or ``/tree/test_a.py::test``, moved."""
        option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
        path, colons, test = value.partition("::")
        if not Path(path).is_absolute():
            return argument
        return f"{option}{equals}{moved_path(path, self._pairs())}{colons}{test}"


def here(folder: Path) -> Environment:
    """Return this process's environment, for pytest in a folder."""
    return Environment("this environment", Path(sys.executable), folder)


def _leads_into_this_environment(path: str) -> bool:
    """Tell whether an import path holds installed packages, or is this interpreter's own."""
    own = [*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("stdlib")]
    place = os.path.realpath(path)
    return any(is_under(place, os.path.realpath(folder)) for folder in own) or any(Path(place).glob("*.dist-info"))
