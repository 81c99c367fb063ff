"""The other environment of a run, which is had before its first test."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest
from packaging.utils import canonicalize_name

from pytest_cpuaccel.environments.companion import Companion, make_companion
from pytest_cpuaccel.environments.distributions import Difference, differences
from pytest_cpuaccel.environments.environment import Environment, here
from pytest_cpuaccel.environments.place import place_in
from pytest_cpuaccel.environments.wanted import Wanted, environment_for
from pytest_cpuaccel.plugin.options import Settings, current_folder
from pytest_cpuaccel.plugin.stash import OTHER, SETTINGS, choice_of, progress_of
from pytest_cpuaccel.sides.side_process import SERVING

_SIDES = "sides-1"
_SHOWN = 12


@dataclass
class Other:
    """Both environments, what differs between them, what is brought to each, and a folder for their processes.

    ``name`` is that of the other one, ``notes`` say what is wrong with it. ``changes`` begin with what backends of the
    run need. ``held`` keeps all of it, and ends the processes.
    """

    name: str
    notes: tuple[str, ...]
    candidate: Environment
    reference: Environment
    changes: tuple[str, ...]
    companion: Companion
    scratch: Path
    held: contextlib.ExitStack

    def told(self) -> tuple[str, ...]:
        """Return what a run says of both environments: what differs, and what is wrong with the other one."""
        more = f" and {len(self.changes) - _SHOWN} more" if len(self.changes) > _SHOWN else ""
        differ = f"{', '.join(self.changes[:_SHOWN])}{more}" if self.changes else "no installed distribution differs"
        pair = f"{self.candidate.name} against {self.reference.name}"
        return (f"{pair}: {differ}", *(f"{self.name}: {note}" for note in self.notes))

    def close(self) -> None:
        """End the processes, and remove what was made for this session alone."""
        self.held.close()


def open_other(config: pytest.Config) -> None:
    """Have the other environment, and keep it until the session ends.

    Raises:
        UsageError: it can't be had.
    """
    settings, progress, folder = config.stash[SETTINGS], progress_of(config), current_folder(config)
    cache = (settings.cache_dir or platformdirs.user_cache_path("pytest-cpuaccel")) / "environments"
    with contextlib.ExitStack() as held:
        there = held.enter_context(environment_for(wanted_by(settings), folder, cache, progress.busy))
        scratch = place_in(cache / _SIDES, held)
        candidate, reference = here(folder), there
        if settings.against_as == "candidate":
            candidate, reference = reference, candidate
        with progress.busy(f"asking {there.name} for its packages"):
            needed = {canonicalize_name(name) for backend in choice_of(config).chosen for name in backend.versions}
            found = sorted(differences(candidate, reference), key=lambda each: each[0] not in needed)
        companion = make_companion(scratch / "companion", SERVING)
        config.stash[OTHER] = Other(
            there.name, there.notes, candidate, reference, tuple(map(_shown, found)), companion, scratch, held.pop_all()
        )


def wanted_by(settings: Settings) -> Wanted:
    """Return the environment that a run is to be compared with."""
    packages = (settings.against_packages,) if settings.against_packages else ()
    return Wanted(settings.against_env, packages, settings.against_rev)


def header_line(config: pytest.Config) -> str:
    """Return which environments are compared, and how many processes run for each."""
    settings = config.stash[SETTINGS]
    wanted = wanted_by(settings)
    parts = [
        f"revision {wanted.revision}" if wanted.revision else "",
        wanted.env or "",
        " ".join(wanted.packages),
    ]
    there, here_ = ", ".join(filter(None, parts)), "this environment"
    pair = f"{there} against {here_}" if settings.against_as == "candidate" else f"{here_} against {there}"
    workers = " for every xdist worker" if config.getoption("dist", "no") != "no" else ""
    return f"{pair}: 1 to {settings.against_processes} processes of each{workers}, as many as a test needs"


def _shown(difference: Difference) -> str:
    name, candidate, reference = difference
    return f"{name} {reference or 'none'} -> {candidate or 'none'}"
