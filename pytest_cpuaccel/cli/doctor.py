"""``cpuaccel doctor``: installed backends, this CPU's abilities, and properties that would skew a timing."""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Iterable, Iterator
from math import inf
from pathlib import Path

from pytest_cpuaccel.backends.plugins import known_backends
from pytest_cpuaccel.backends.requirements import check_torch, pip_command, unmet_requirement
from pytest_cpuaccel.builder.tested_versions import TESTED, newer_than_tested, releases_tested
from pytest_cpuaccel.cli.fitted_text import UNBROKEN, command, paragraph, row, terminal_width
from pytest_cpuaccel.core.backend import Backend, Requirement
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
    """Print what was found, line by line, each no longer than the terminal is wide."""
    width = terminal_width()
    for line in doctor(width):
        print(line)  # noqa: T201
    for line in self_checks(SELF_CHECK_S, arguments.cpu_wait) if arguments.aa else ():
        print("\n".join(paragraph(line, width)))  # noqa: T201
        sys.stdout.flush()
    return 0


def doctor(width: int) -> Iterator[str]:
    """Yield lines on this machine, on each backend, on tested releases, and on plugins that can't be asked."""
    known = known_backends(Path.cwd())
    backends = list(known.by_name.values())
    column = max(len(backend.name) for backend in backends) + 1
    machine = this_machine()
    isa = " ".join(machine.isa) or "no known vector extensions"
    yield from paragraph(f"CPU: {machine.cpu}, {machine.cpus} usable, {isa}", width)
    for trait in traits():
        yield from row(trait.name, f"{trait.value}{f': {trait.harm}' if trait.harm else ''}", column, width)
    kept = format_bytes(REFERENCES_BYTES)
    yield from row("references", f"up to {kept} of eager's answers are kept for the next backend", column, width)
    yield ""
    for backend in backends:
        origin = known.origins.get(backend.name)
        yield from _backend(backend, f", from {origin}" if origin else "", column, width)
    yield ""
    yield from paragraph("Installed releases, and those that the tests ran with:", width)
    for distribution in _distributions(backends):
        yield from row(f"  {distribution}", _release(distribution), column, width)
    for line in (*newer_than_tested(), *known.problems):
        yield from paragraph(line, width)


def _backend(backend: Backend, origin: str, column: int, width: int) -> Iterator[str]:
    """Yield lines on a backend: its versions; or what is missing, and the pip command, which stays in one piece."""
    reason = unmet_requirement(backend)
    if reason is None:
        versions = ", ".join(f"{name}{UNBROKEN}{version}" for name, version in backend.versions.items())
        status = f"installed: {versions}" if versions else "needs nothing"
        yield from row(backend.name, f"{backend.summary}{origin}; {status}", column, width)
        return
    pip = pip_command(backend)
    missing = reason.removeprefix(f"{backend.name}: ").removesuffix(f"; {pip}")
    text = f"{backend.summary}{origin}; missing: {missing}"
    if column + len(f"{text}; {pip}") <= width:
        yield from row(backend.name, f"{text}; {pip}", column, width)
    else:
        yield from row(backend.name, text, column, width)
        yield from command(pip, width)


def _distributions(backends: Iterable[Backend]) -> list[str]:
    """Return the distributions that tests are pinned to or that a backend needs, each once."""
    return list(dict.fromkeys((*TESTED, *(item.distribution for backend in backends for item in backend.requires))))


def _release(distribution: str) -> str:
    installed = Requirement(distribution).installed or "not installed"
    tested = releases_tested(distribution)
    return f"{installed}; {f'tested: {tested}' if tested else 'no release of it is pinned in the tests'}"


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
