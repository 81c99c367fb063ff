"""The ``cpuaccel`` command."""

from __future__ import annotations

import argparse
import platform
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pytest_cpuaccel.cli import compare, doctor, gate, matrix, replay, upgrade
from pytest_cpuaccel.core.backend import Requirement
from pytest_cpuaccel.core.errors import CpuaccelError, Terminated

USAGE_MISTAKE = 2
INTERRUPTED = 130
TERMINATED = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 2 for a mistake of the user, 130 after Ctrl-C.

    Raises:
        Terminated: SIGTERM came; open files are closed and temporary folders removed before.
    """
    parser = argparse.ArgumentParser(
        prog="cpuaccel",
        description="CPU backends for PyTorch models.",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # the other one would break the version's line
    )
    version = f"pytest-cpuaccel {Requirement('pytest-cpuaccel').installed or '(not installed)'}"
    parser.add_argument("--version", action="version", version=f"{version}, Python {platform.python_version()}")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (doctor, compare, gate, matrix, replay, upgrade):
        command.add(commands)
    chosen = upgrade.parsed(parser, sys.argv[1:] if arguments is None else arguments)
    try:
        with _ended_in_order():
            exit_code: int = chosen.run(chosen)
    except CpuaccelError as mistake:
        print(f"cpuaccel {chosen.command}: {mistake}", file=sys.stderr)  # noqa: T201
        return USAGE_MISTAKE
    except KeyboardInterrupt:
        return INTERRUPTED
    return exit_code


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have SIGTERM raise Terminated instead of ending the process at once, so that files and folders are cleaned up."""

    def leave(*_: object) -> None:
        raise Terminated(TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
