"""``cpuaccel replay``: a bundle that a failing verdict left, judged again here."""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cpuaccel.backends.plugins import known_backends
from pytest_cpuaccel.backends.registry import EAGER
from pytest_cpuaccel.backends.requirements import check_torch
from pytest_cpuaccel.cli.installed_backend import installed
from pytest_cpuaccel.cli.path_argument import path
from pytest_cpuaccel.cli.waits import Waits
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BackendUnavailableError, CpuaccelError, Terminated, UsageError, UserCodeError
from pytest_cpuaccel.core.frames import runs_users_code, without_imports, without_ours
from pytest_cpuaccel.core.one_line import printable

if TYPE_CHECKING:
    from torch import nn

    from pytest_cpuaccel.bundles.bundle import Bundle
    from pytest_cpuaccel.bundles.replay import Replay
    from pytest_cpuaccel.evaluation.session import Session
    from pytest_cpuaccel.machine.lock import MachineLock

_DESCRIPTION = """\
Judges the failure in a bundle again, which pytest --cpu-bundles=FOLDER left: with --model the call is made here,
without it the recorded answers are compared again. Exit code: 0 for the same verdict, 1 for another, 2 if it can't be
judged."""
_UNTRUSTED = (
    "the artifact of the bundle was not loaded: loading one can run code that is in it; --trust-artifact loads it"
)
SAME, ANOTHER, UNJUDGED = 0, 1, 2
_PATIENCE_S = 600.0


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser("replay", help="judge a failure again", description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("bundle", metavar="BUNDLE", type=path, help="a folder that --cpu-bundles wrote")
    parser.add_argument(
        "--model", metavar="FOLDER_OR_ID", help="the model: a checkpoint, or module:function that returns it"
    )
    parser.add_argument("--task", help="task of the checkpoint, such as 'text-classification'")
    parser.add_argument(
        "--trust-artifact", action="store_true", help="load the artifact in the bundle; this can run code that is in it"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Judge the bundle again; print the verdict of then and of now, and what differs.

    Raises:
        UsageError: a mistake of the user; the bundle is damaged.
        EagerError: the model can't be a reference.
        BuildError: the backend can't run it.
    """
    try:
        check_torch()
    except BackendUnavailableError as unavailable:
        raise UsageError(str(unavailable)) from None
    from pytest_cpuaccel.bundles.conclusion import Agreement, concluded
    from pytest_cpuaccel.bundles.read import read_bundle
    from pytest_cpuaccel.bundles.replay import judge_recorded

    bundle = read_bundle(arguments.bundle)
    if arguments.trust_artifact and arguments.model is None:
        raise UsageError("--trust-artifact needs --model: an artifact is loaded for a model, and judged by it")
    for line in _of_bundle(bundle):
        print(line)  # noqa: T201
    backends = None if arguments.model is None else _backends(bundle)
    try:
        replay = judge_recorded(bundle) if backends is None else _on_users_model(bundle, backends, arguments)
    except UserCodeError as raised:
        frames = without_imports(without_ours(raised.error.__traceback__))
        traceback.print_exception(raised.error.with_traceback(frames))
        raise
    for line in (*_of_replay(replay), replay.ran, *replay.answers):
        print(printable(line))  # noqa: T201
    if backends is not None:
        for line in _surroundings(bundle, replay, backends[0], is_trusted=arguments.trust_artifact):
            print(printable(line))  # noqa: T201
    found = concluded(bundle.verdicts, replay.verdicts, replay.unjudged)
    print(printable(found.sentence))  # noqa: T201
    return {Agreement.SAME: SAME, Agreement.ANOTHER: ANOTHER, Agreement.UNJUDGED: UNJUDGED}[found.agreement]


def _on_users_model(bundle: Bundle, backends: tuple[Backend, Backend], arguments: argparse.Namespace) -> Replay:
    """Make the calls here.

    Raises:
        UserCodeError: code of the user raised where this package takes no errors for an answer.
    """
    try:
        return _replayed(bundle, backends, arguments)
    except (CpuaccelError, Terminated):
        raise
    except Exception as error:
        if not runs_users_code(error.__traceback__):
            raise
        raise UserCodeError(f"--model: {arguments.model} raises {type(error).__name__}", error) from error
    except SystemExit:
        raise UsageError(f"--model: {arguments.model} raises SystemExit") from None


def _replayed(bundle: Bundle, backends: tuple[Backend, Backend], arguments: argparse.Namespace) -> Replay:
    from pytest_cpuaccel.bundles.replay import Here, run_again, run_artifact
    from pytest_cpuaccel.core.internals import check_internals
    from pytest_cpuaccel.machine.lock import MachineLock, default_lock_path

    if bundle.model.is_candidate:
        raise UsageError("a candidate is judged by another model, and can't be run again: leave out --model")
    if not bundle.calls:
        raise UsageError("--model: the bundle holds scores, which the test's own function gave; leave out --model")
    check_internals()
    lock = MachineLock(default_lock_path(), _PATIENCE_S)
    session = _session(bundle, arguments.task, lock)
    here = Here(_model(arguments, session), *backends, session)
    with lock.shared(Waits().show):
        return run_artifact(bundle, arguments.bundle, here) if arguments.trust_artifact else run_again(bundle, here)


def _of_bundle(bundle: Bundle) -> Iterator[str]:
    yield printable(f"bundle: {bundle.test or 'no test'}: {bundle.model.name} under {bundle.backend}, {bundle.label}")
    for verdict in bundle.verdicts:
        yield printable(f"recorded: {verdict.outcome.value} {verdict.kind}: {verdict.sentence}")


def _of_replay(replay: Replay) -> Iterator[str]:
    for verdict in replay.verdicts:
        yield f"now: {verdict.outcome.value} {verdict.kind}: {verdict.sentence}"
        yield from (f"  {line}" for line in verdict.evidence)


def _surroundings(bundle: Bundle, replay: Replay, backend: Backend, *, is_trusted: bool) -> Iterator[str]:
    """What is other here than where the bundle was left, and what was left out."""
    from pytest_cpuaccel.bundles.leave import place_of
    from pytest_cpuaccel.bundles.surroundings import differences, kernel_differences

    there, here = bundle.place, place_of(backend, bundle.place.threads)
    yield from (f"differs: {line}" for line in replay.model)
    yield from (f"differs: {line}" for line in differences(there, here))
    if backend.precision is not bundle.precision:
        yield f"differs: precision of {backend.name}: {bundle.precision.value} -> {backend.precision.value}"
    if bundle.kernels is not None or replay.kernels is not None:
        with_times = there.cpu == here.cpu and bundle.verdict("latency") is not None
        lines = kernel_differences(bundle.kernels, replay.kernels, with_times=with_times)
        yield from (f"differs: kernels: {line}" for line in lines)
    if backend.calibrates:
        yield "calibration data are not in a bundle: the backend was calibrated on the call's own inputs"
    if bundle.artifact is not None and bundle.artifact.is_here and not is_trusted:
        yield _UNTRUSTED


def _backends(bundle: Bundle) -> tuple[Backend, Backend]:
    """The bundle's backend, and the one that its latency is compared with."""
    known, latency = known_backends(Path.cwd()).by_name, bundle.budgets.latency
    backend = installed(bundle.backend, known, "the bundle's backend")
    if latency is None or bundle.verdict("latency") is None:
        return backend, EAGER
    return backend, installed(latency.vs, known, "the backend that the bundle's latency is compared with")


def _session(bundle: Bundle, task: str | None, lock: MachineLock) -> Session:
    from pytest_cpuaccel.core.option_values import number_of_bytes
    from pytest_cpuaccel.evaluation.session import SessionSettings, open_session

    settings = SessionSettings(
        threads=bundle.place.threads,
        task=task,
        cache_dir=None,
        cache_limit_bytes=number_of_bytes("20 GB"),
        cache_verify=False,
        wait_s=_PATIENCE_S,
    )
    return open_session(settings, Waits(), lock)


def _model(arguments: argparse.Namespace, session: Session) -> nn.Module:
    from pytest_cpuaccel.builder.load_model import check_task
    from pytest_cpuaccel.gate.entry_point import check_source, is_entry_point, model_at

    source = arguments.model
    if arguments.task is not None:
        check_task(arguments.task, "--task")
    check_source(source)
    if is_entry_point(source) and not Path(source).exists():
        return model_at(source, session.model)
    return session.model(source, "--model")
