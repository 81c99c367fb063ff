"""The other environment of a run, opened under its settings when a test first needs it."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import pytest

from pytest_cpuaccel.core.measurement.environment import Environments
from pytest_cpuaccel.environments.companion import Companion, make_companion
from pytest_cpuaccel.environments.distributions import Difference, differences
from pytest_cpuaccel.environments.environment import Environment, here
from pytest_cpuaccel.environments.wanted import Wanted, environment_for
from pytest_cpuaccel.evaluation.against import Against, AgainstSettings
from pytest_cpuaccel.machine.child_process import Program
from pytest_cpuaccel.measure.latency.crew_config import CrewRaceConfig
from pytest_cpuaccel.plugin.options import Settings, current_folder
from pytest_cpuaccel.plugin.side_arguments import side_arguments
from pytest_cpuaccel.plugin.stash import SETTINGS, lock_of, progress_of
from pytest_cpuaccel.sides.processes import Processes
from pytest_cpuaccel.sides.side_process import SERVING, SideProcess, SideSettings

if TYPE_CHECKING:
    from pytest_cpuaccel.plugin.progress import Progress


def wanted_by(settings: Settings) -> Wanted | None:
    """Return the environment that a run is to be compared with; None where there is none."""
    packages = (settings.against_packages,) if settings.against_packages else ()
    wanted = Wanted(settings.against_env, packages, settings.against_rev)
    return None if wanted == Wanted() else wanted


@contextlib.contextmanager
def against(config: pytest.Config) -> Iterator[Against | None]:
    """Yield what compares a run with the other environment; its processes and folders go with this context.

    Raises:
        UsageError: the environment can't be had.
    """
    settings, progress = config.stash[SETTINGS], progress_of(config)
    wanted = wanted_by(settings)
    if wanted is None:
        yield None
        return
    folder = current_folder(config)
    cache = (settings.cache_dir or platformdirs.user_cache_path("pytest-cpuaccel")) / "environments"
    with contextlib.ExitStack() as held:
        there = held.enter_context(environment_for(wanted, folder, cache, progress.busy))
        scratch = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="cpuaccel-sides-")))
        companion = make_companion(scratch / "companion", SERVING)
        both = [here(folder), there]
        if settings.against_as == "candidate":
            both.reverse()
        candidate, reference = both
        changes = tuple(map(_shown, differences(candidate, reference)))
        race = CrewRaceConfig(
            most_processes=settings.against_processes,
            threads=settings.threads,
            progress=lambda text: progress.show(f"racing {there.name}: {text}"),
        )

        def processes(name: str, environment: Environment) -> Processes:
            start = functools.partial(_started, environment, companion, config, scratch / name)
            return Processes(environment.name, start)

        found = Against(
            processes("candidate", candidate),
            processes("reference", reference),
            AgainstSettings(Environments(candidate.name, reference.name, changes), 1 + settings.against_slowdown, race),
            functools.partial(_alone, config, progress),
        )
        held.callback(found.end)
        yield found


@contextlib.contextmanager
def _alone(config: pytest.Config, progress: Progress) -> Iterator[None]:
    with lock_of(config).alone(progress.show), progress.busy("racing another environment", 30.0):
        yield


def _started(
    environment: Environment, companion: Companion, config: pytest.Config, scratch: Path, number: int
) -> SideProcess:
    own = scratch / f"process-{number}"
    own.mkdir(parents=True)
    python, *arguments = environment.command(companion, side_arguments(config, own))
    program = Program(tuple(arguments), environment.variables(), interpreter=python, folder=environment.folder)
    wait_s = config.stash[SETTINGS].wait_s
    return SideProcess(program, SideSettings(environment.name, own, wait_s, environment.moved))


def _shown(difference: Difference) -> str:
    name, candidate, reference = difference
    return f"{name} {reference or 'none'} -> {candidate or 'none'}"
