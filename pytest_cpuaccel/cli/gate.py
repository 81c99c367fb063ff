"""``cpuaccel gate``: a model judged without a test, under the backends that are named."""

from __future__ import annotations

import argparse
import contextlib
import math
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_cpuaccel.backends.plugins import known_backends
from pytest_cpuaccel.backends.registry import is_known, no_such_backend, select
from pytest_cpuaccel.backends.requirements import check_torch, unmet_requirement
from pytest_cpuaccel.cli.installed_backend import installed
from pytest_cpuaccel.cli.waits import Waits
from pytest_cpuaccel.core import option_values as values
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BackendUnavailableError, UsageError, UserCodeError
from pytest_cpuaccel.core.frames import without_imports, without_ours
from pytest_cpuaccel.gate.budgets import LIMITS, Limits, limits_of, parity_of
from pytest_cpuaccel.report.report_files import check_writable

if TYPE_CHECKING:
    from pytest_cpuaccel.gate.run import Gate
    from pytest_cpuaccel.gate.settings import GateSettings

_DESCRIPTION = """\
Runs a model under CPU backends on inputs made for it, and judges parity with eager PyTorch. Shows speed, memory and
start-up, and holds them to the limits that are given. Exit code: 0 if all is well, 1 for a FAIL or a named backend that
can't run the model, 2 for a mistake in the command."""


class _Option(NamedTuple):
    """``--cpu-NAME``, as pytest has it."""

    name: str
    metavar: str
    default: str
    parse: Callable[[str], Any]
    help: str


_OPTIONS = (
    _Option("backends", "NAMES", "", values.backend_names, "backends: names and globs, 'ort,openvino*', or 'all'"),
    _Option("missing", "fail|skip", "fail", values.one_of("fail", "skip"), "what if a chosen one isn't installed"),
    _Option(
        "unsupported",
        "fail|skip",
        "skip",
        values.one_of("fail", "skip"),
        "what if one that a glob or 'all' chose can't run the model",
    ),
    _Option(
        "inconclusive",
        "warn|fail|skip",
        "warn",
        values.one_of("warn", "fail", "skip"),
        "the effect of an INCONCLUSIVE verdict",
    ),
    _Option("threads", "N", "1", values.threads, "threads of every runtime"),
    _Option("report", "FILES", "", values.report_paths, "reports to write: a.json, b.md, c.html"),
    _Option("cache-dir", "FOLDER", "", values.folder, "where exported models are kept"),
    _Option("cache-limit", "SIZE", "20 GB", values.number_of_bytes, "how much the cache may hold"),
    _Option("tolerances", "FILE|off", "off", values.lock_to_judge_by, "the tolerance lock that answers are held to"),
    _Option("wait", "TIME", "600 s", values.seconds, "the longest time to wait for the machine to be free"),
)
_LIMITS: Mapping[str, tuple[str, str]] = {
    "p50": ("TIME", "the greatest median time of a call, '30 ms'"),
    "p90": ("TIME", "the greatest 90th percentile"),
    "p99": ("TIME", "the greatest 99th percentile"),
    "min_throughput": ("RATE", "the least items per second, '40 items/s'"),
    "ttft": ("TIME", "the greatest time of generate() to its first token"),
    "tpot": ("TIME", "the greatest time of generate() per token after that"),
    "speedup": ("FACTOR", "the least speed relative to --vs, '1.3'"),
    "max_slowdown": ("PERCENT", "the greatest slowdown relative to --vs, '5%%'"),
    "cold_start": ("TIME", "the greatest time of a fresh process to its first answer, '4 s'"),
    "build": ("TIME", "the greatest time to export and load, which is measured only with this option"),
    "peak": ("SIZE", "the most memory of a fresh process, '800 MB'"),
    "artifact": ("SIZE", "the most bytes of the exported artifact"),
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "gate", help="judge a model without a test", description=_DESCRIPTION, allow_abbrev=False
    )
    parser.add_argument("model", metavar="FOLDER_OR_ID", help="a checkpoint, or module:function that returns a model")
    parser.add_argument("--task", help="task of the checkpoint, such as 'text-classification'")
    for option in _OPTIONS:
        told = f"{option.help} (default: {option.default})" if option.default else option.help
        parser.add_argument(f"--cpu-{option.name}", metavar=option.metavar, default=option.default, help=told)
    group = parser.add_argument_group("limits", "A value holds for all backends; 'ort:VALUE,openvino*:VALUE' for some.")
    tolerances = "other tolerances than the default: 'rtol=1e-3,atol=1e-5', 'cosine=0.99', 'sqnr_db=30', 'top1=0.98'"
    group.add_argument("--parity", nargs="?", const="", default="", metavar="TOLERANCES", help=tolerances)
    group.add_argument("--outputs", default="", metavar="NAMES", help="the only outputs to compare")
    group.add_argument("--mask", metavar="INPUT", help="the input that marks padding")
    group.add_argument("--vs", default="eager", metavar="BACKEND", help="the backend to race (default: eager)")
    for name, (metavar, text) in _LIMITS.items():
        group.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar=metavar, help=text)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the gate; print what was found, and write the reports.

    Raises:
        UsageError: a mistake of the user.
        EagerError: the model can't be a reference.
    """
    found = known_backends(Path.cwd())
    for problem in found.problems:
        _tell(f"cpuaccel gate: {problem}")
    known = found.by_name
    settings, limits = _settings(arguments, known), _limits(arguments, known)
    limits.check_run([backend.name for backend in select(values.backend_names(arguments.cpu_backends), known)])
    versus = installed(limits.vs, known, "--vs")
    for backend in settings.backends:
        limits.budgets(backend.name)
    check_writable(settings.reports, "--cpu-report")
    try:
        check_torch()
    except BackendUnavailableError as unavailable:
        raise UsageError(str(unavailable)) from None
    from pytest_cpuaccel.core.internals import check_internals
    from pytest_cpuaccel.gate.opening import open_gate

    check_internals()
    try:
        return _through(open_gate(settings, limits, versus, Waits()), settings)
    except UserCodeError as raised:
        frames = without_imports(without_ours(raised.error.__traceback__))
        traceback.print_exception(raised.error.with_traceback(frames))
        raise


def _through(gate: Gate, settings: GateSettings) -> int:
    from pytest_cpuaccel.gate.summary import Summary
    from pytest_cpuaccel.report.header import header
    from pytest_cpuaccel.report.run import new_run

    for line in header(settings.backends, {reason: reason for reason in settings.missing}, settings.threads):
        print(line, flush=True)  # noqa: T201
    run = new_run(("cpuaccel", *sys.argv[1:]), Path.cwd())
    found = Summary(run, settings.backends, settings.threads, settings.reports)
    try:
        with contextlib.closing(gate.rows(settings.backends, _tell)) as rows:
            for row in rows:
                found.add(row)
    finally:
        notes = tuple(dict.fromkeys((*gate.examined.notes, *gate.session.take_notes())))
        found.write(notes)
        print()  # noqa: T201
        for line, colour in found.lines(notes, shutil.get_terminal_size(fallback=(0, 0)).columns or math.inf):
            print(_coloured(line, colour), flush=True)  # noqa: T201
    return int(found.failed)


def _settings(arguments: argparse.Namespace, known: Mapping[str, Backend]) -> GateSettings:
    from pytest_cpuaccel.gate.settings import GateSettings

    chosen = {option.name: _parsed(option, arguments) for option in _OPTIONS}
    backends, missing = _backends(chosen["backends"], chosen["missing"], known)
    globbed = frozenset(backend.name for backend in backends if backend.name not in chosen["backends"])
    return GateSettings(
        source=arguments.model,
        task=arguments.task,
        backends=backends,
        missing=missing,
        optional=globbed if chosen["unsupported"] == "skip" else frozenset(),
        inconclusive=chosen["inconclusive"],
        threads=chosen["threads"],
        reports=tuple(path.expanduser().absolute() for path in chosen["report"]),
        cache_dir=chosen["cache-dir"] and chosen["cache-dir"].expanduser().absolute(),
        cache_limit_bytes=chosen["cache-limit"],
        tolerances=chosen["tolerances"] and chosen["tolerances"].expanduser().absolute(),
        wait_s=chosen["wait"],
    )


def _parsed(option: _Option, arguments: argparse.Namespace) -> Any:
    text = getattr(arguments, f"cpu_{option.name.replace('-', '_')}")
    try:
        return option.parse(text)
    except UsageError as mistake:
        raise UsageError(f"--cpu-{option.name}: {mistake}") from None


def _backends(
    names: Sequence[str], if_missing: str, known: Mapping[str, Backend]
) -> tuple[tuple[Backend, ...], tuple[str, ...]]:
    """The chosen backends that can run here, and why others can't."""
    if not names:
        usable = ", ".join(backend.name for backend in known.values() if unmet_requirement(backend) is None)
        raise UsageError(f"--cpu-backends=NAMES is needed, such as ort,openvino or all; installed here: {usable}")
    for name in names:
        if not is_known(name, known):
            raise UsageError(f"--cpu-backends: {no_such_backend(name, known)}")
    try:
        chosen = select(names, known)
    except (UsageError, BackendUnavailableError) as mistake:
        raise UsageError(f"--cpu-backends: {mistake}") from None
    reasons = {backend.name: unmet_requirement(backend) for backend in chosen}
    missing = tuple(reason for reason in reasons.values() if reason)
    if missing and if_missing == "fail":
        raise UsageError(f"--cpu-backends: {'; '.join(missing)} (--cpu-missing=skip runs the others)")
    return tuple(backend for backend in chosen if not reasons[backend.name]), missing


def _limits(arguments: argparse.Namespace, known: Mapping[str, Backend]) -> Limits:
    texts = {name: text for name in LIMITS if (text := getattr(arguments, name)) is not None}
    return limits_of(texts, parity_of(arguments.parity, arguments.outputs, arguments.mask), known, arguments.vs)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _coloured(line: str, colour: str) -> str:
    codes = {"red": 31, "green": 32, "yellow": 33}
    return f"\x1b[{codes[colour]}m{line}\x1b[0m" if colour and sys.stdout.isatty() else line
