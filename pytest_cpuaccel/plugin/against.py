"""What compares a run with its other environment: processes of both, started when a test first needs them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_cpuaccel.core.measurement.environment import Environments
from pytest_cpuaccel.environments.bootstrap import NOT_STARTED
from pytest_cpuaccel.environments.environment import Environment
from pytest_cpuaccel.evaluation.against import Against, AgainstSettings
from pytest_cpuaccel.machine.child_process import Program
from pytest_cpuaccel.measure.latency.crew_config import CrewRaceConfig
from pytest_cpuaccel.plugin.side_arguments import side_arguments
from pytest_cpuaccel.plugin.stash import SETTINGS, lock_of, progress_of
from pytest_cpuaccel.sides.processes import Processes
from pytest_cpuaccel.sides.side_process import SideProcess, SideSettings

if TYPE_CHECKING:
    from pytest_cpuaccel.plugin.other import Other
    from pytest_cpuaccel.plugin.progress import Progress


def against(config: pytest.Config, other: Other) -> Against:
    """Return what compares a run with the other environment; its processes end with that."""
    settings, progress = config.stash[SETTINGS], progress_of(config)
    race = CrewRaceConfig(
        most_processes=settings.against_processes,
        threads=settings.threads,
        progress=lambda text: progress.show(f"racing {other.name}: {text}"),
    )

    def processes(environment: Environment) -> Processes:
        return Processes(environment.name, functools.partial(_started, environment, other, config))

    environments = Environments(other.candidate.name, other.reference.name, other.changes)
    found = Against(
        processes(other.candidate),
        processes(other.reference),
        AgainstSettings(environments, 1 + settings.against_slowdown, race, settings.against_as == "reference"),
        functools.partial(_alone, config, progress),
        progress.busy,
    )
    other.held.callback(found.end)
    return found


@contextlib.contextmanager
def _alone(config: pytest.Config, progress: Progress) -> Iterator[None]:
    with lock_of(config).alone(progress.show), progress.busy("racing another environment", 30.0):
        yield


def _started(environment: Environment, other: Other, config: pytest.Config, number: int) -> SideProcess:
    side = "candidate" if environment is other.candidate else "reference"
    own = other.scratch / side / str(number)
    own.mkdir(parents=True)
    settings = config.stash[SETTINGS]
    cache = [] if settings.cache_dir is None else [f"--cpu-cache-dir={settings.cache_dir}"]
    python, *arguments = environment.command(other.companion, [*side_arguments(config, own), *cache])
    variables = {**environment.variables(), "PYTEST_ADDOPTS": ""}
    program = Program(tuple(arguments), variables, interpreter=python, folder=environment.folder)
    return SideProcess(program, SideSettings(environment.name, own, settings.wait_s, NOT_STARTED, environment.moved))
