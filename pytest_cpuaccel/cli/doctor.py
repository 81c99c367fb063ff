"""``cpuaccel doctor``: installed backends, this CPU's abilities, and properties that would skew a timing."""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Iterator
from math import inf

from pytest_cpuaccel.backends.registry import BUILTIN
from pytest_cpuaccel.backends.requirements import check_torch, unmet_requirement
from pytest_cpuaccel.builder.tested_versions import newer_than_tested
from pytest_cpuaccel.core.errors import BackendUnavailableError, UsageError
from pytest_cpuaccel.core.keeping import REFERENCES_BYTES
from pytest_cpuaccel.core.units import format_bytes, format_duration, parse_duration_ns
from pytest_cpuaccel.machine.cpu import this_machine
from pytest_cpuaccel.machine.traits import traits

SELF_CHECK_S = 10.0
ALLOWED = 0.05


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "doctor", help="installed backends, this CPU's abilities, and properties that would skew a timing"
    )
    parser.add_argument(
        "--aa", action="store_true", help="race equal copies to find the smallest slowdown that this machine can tell"
    )
    waiting = "the longest time that --aa waits for the machine to be free"
    parser.add_argument("--cpu-wait", type=_seconds, default="600 s", metavar="TIME", help=f"{waiting} (600 s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what was found, line by line."""
    for line in doctor():
        print(line)  # noqa: T201
    for line in self_checks(SELF_CHECK_S, arguments.cpu_wait) if arguments.aa else ():
        print(line)  # noqa: T201
        sys.stdout.flush()
    return 0


def doctor() -> Iterator[str]:
    """Yield lines on this machine, on each backend (its versions or missing packages) and on untested releases."""
    machine = this_machine()
    yield f"CPU: {machine.cpu}, {machine.cpus} usable, {' '.join(machine.isa) or 'no known vector extensions'}"
    width = max(len(backend.name) for backend in BUILTIN)
    for trait in traits():
        yield f"{trait.name:{width}} {trait.value}{f': {trait.harm}' if trait.harm else ''}"
    kept = format_bytes(REFERENCES_BYTES)
    yield f"{'references':{width}} up to {kept} of eager's answers are kept for the next backend"
    for backend in BUILTIN:
        reason = unmet_requirement(backend)
        versions = ", ".join(f"{name} {version}" for name, version in backend.versions.items())
        status = f"missing: {reason.partition(': ')[2]}" if reason else f"installed: {versions}"
        yield f"{backend.name:{width}} {backend.summary}; {status}"
    yield from newer_than_tested()


def self_checks(seconds: float, wait_s: float) -> Iterator[str]:
    """Yield a line for each of three models: the A/A verdict, and the smallest slowdown that the race can tell.

    Each model races a second, separately built copy of itself for ``seconds``, on one thread, alone on the machine.
    Waits up to ``wait_s`` for the machine to be free.

    Raises:
        UsageError: torch isn't installed, or does not import.
        BusyError: the machine did not become free.
    """
    try:
        check_torch()
    except BackendUnavailableError as missing:
        raise UsageError(f"--aa races PyTorch models; {missing}") from None
    import torch

    from pytest_cpuaccel.judge.latency import outcome_of
    from pytest_cpuaccel.machine.lock import MachineLock, default_lock_path
    from pytest_cpuaccel.measure.latency.config import RaceConfig
    from pytest_cpuaccel.measure.latency.self_check import resolve
    from pytest_cpuaccel.measure.latency.self_check_models import self_check_models

    yield f"A/A: each model against an equal copy for {seconds:g} s, 1 thread, {100 * ALLOWED:g} % allowed"
    lock = MachineLock(default_lock_path(), wait_s)
    with lock.alone(functools.cache(_say)), torch.inference_mode(), _one_thread():
        for model in self_check_models():
            found = resolve(model.copies(), RaceConfig(), seconds)
            interval = "" if found.slowdown == inf else " [{:.4f}, {:.4f}]".format(*found.interval)
            resolved = "too few pairs" if found.slowdown == inf else f"{100 * found.slowdown:.2g} % and more"
            outcome = outcome_of(found.shown(ALLOWED))
            yield (
                f"{model.name:18} {format_duration(found.call_ns)} a call: {outcome.value}, "
                f"ratio {found.ratio:.4f}{interval}; slowdowns told: {resolved} "
                f"({found.pairs} pairs in {found.seconds:.1f} s)"
            )


def _seconds(text: str) -> float:
    try:
        return parse_duration_ns(text) / 1e9
    except UsageError as mistake:
        raise argparse.ArgumentTypeError(str(mistake)) from None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
