"""``cpuaccel doctor``: what is installed, and what this CPU can do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from pytest_cpuaccel.build.availability import unmet_requirement
from pytest_cpuaccel.build.registry import BUILTIN
from pytest_cpuaccel.measure.machine import this_machine


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    commands.add_parser("doctor", help="what is installed, and what this CPU can do").set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001
    """Print what was found."""
    print("\n".join(doctor()))  # noqa: T201
    return 0


def doctor() -> Iterator[str]:
    """Yield a line on this machine and one for each backend: its versions, or what it lacks."""
    machine = this_machine()
    yield f"CPU: {machine.cpu}, {machine.cpus} usable, {' '.join(machine.isa) or 'no known vector extensions'}"
    for backend in BUILTIN:
        reason = unmet_requirement(backend)
        versions = ", ".join(f"{name} {version}" for name, version in backend.versions.items())
        status = f"missing: {reason.partition(': ')[2]}" if reason else f"installed: {versions}"
        yield f"{backend.name:18} {backend.summary}; {status}"
