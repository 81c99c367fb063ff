"""``cpuaccel replay``: a bundle that a failing verdict left, judged again here."""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cpuaccel.backends.plugins import known_backends
from pytest_cpuaccel.backends.registry import no_such_backend
from pytest_cpuaccel.backends.requirements import check_torch, unmet_requirement
from pytest_cpuaccel.cli.path_argument import path
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BackendUnavailableError, UsageError, UserCodeError
from pytest_cpuaccel.core.frames import without_imports, without_ours
from pytest_cpuaccel.core.one_line import printable
from pytest_cpuaccel.core.verdict import Outcome

if TYPE_CHECKING:
    from torch import nn

    from pytest_cpuaccel.bundles.bundle import Bundle
    from pytest_cpuaccel.bundles.replay import Replay
    from pytest_cpuaccel.evaluation.session import Session

_DESCRIPTION = """\
Judges the failure in a bundle again, which pytest --cpu-bundles=FOLDER left: with --model the call is made here,
without it the recorded answers are compared again. Exit code: 0 for the same verdict, 1 for another, 2 if it can't be
judged."""
_UNTRUSTED = (
    "the artifact of the bundle was not loaded: loading one can run code that is in it; --trust-artifact loads it"
)
SAME, ANOTHER, UNJUDGED = 0, 1, 2


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
    from pytest_cpuaccel.bundles.read import read_bundle
    from pytest_cpuaccel.bundles.replay import judge_recorded

    bundle = read_bundle(arguments.bundle)
    if arguments.trust_artifact and arguments.model is None:
        raise UsageError("--trust-artifact needs --model: an artifact is loaded for a model, and judged by it")
    for line in _of_bundle(bundle):
        print(line)  # noqa: T201
    backend = None if arguments.model is None else _backend(bundle.backend)
    try:
        replay = judge_recorded(bundle) if backend is None else _replayed(bundle, backend, arguments)
    except UserCodeError as raised:
        frames = without_imports(without_ours(raised.error.__traceback__))
        traceback.print_exception(raised.error.with_traceback(frames))
        raise
    print(printable(f"now: {replay.outcome.value} parity: {replay.sentence}"))  # noqa: T201
    for line in (*(f"  {line}" for line in replay.evidence), replay.ran, *replay.answers):
        print(printable(line))  # noqa: T201
    if backend is not None:
        for line in _surroundings(bundle, replay, backend, is_trusted=arguments.trust_artifact):
            print(printable(line))  # noqa: T201
    code, line = _conclusion(bundle, replay)
    print(line)  # noqa: T201
    return code


def _replayed(bundle: Bundle, backend: Backend, arguments: argparse.Namespace) -> Replay:
    from pytest_cpuaccel.bundles.replay import run_again, run_artifact
    from pytest_cpuaccel.core.internals import check_internals

    if bundle.model.is_candidate:
        raise UsageError("a candidate is judged by another model, and can't be run again: leave out --model")
    check_internals()
    session = _session(bundle, arguments.task)
    model = _model(bundle, arguments, session)
    if arguments.trust_artifact:
        return run_artifact(bundle, arguments.bundle, model, backend, session)
    return run_again(bundle, model, backend, session)


def _of_bundle(bundle: Bundle) -> Iterator[str]:
    yield printable(f"bundle: {bundle.test or 'no test'}: {bundle.model.name} under {bundle.backend}, {bundle.label}")
    for verdict in bundle.verdicts:
        yield printable(f"recorded: {verdict.outcome.value} {verdict.kind}: {verdict.sentence}")


def _surroundings(bundle: Bundle, replay: Replay, backend: Backend, *, is_trusted: bool) -> Iterator[str]:
    """What is other here than where the bundle was left, and what was left out."""
    from pytest_cpuaccel.bundles.leave import place_of
    from pytest_cpuaccel.bundles.surroundings import differences, kernel_differences

    yield from (f"differs: {line}" for line in replay.model)
    yield from (f"differs: {line}" for line in differences(bundle.place, place_of(backend, bundle.place.threads)))
    if bundle.kernels is not None or replay.kernels is not None:
        yield from (f"differs: {line}" for line in kernel_differences(bundle.kernels, replay.kernels))
    if backend.calibrates:
        yield "calibration data are not in a bundle: the backend was calibrated on the call's own inputs"
    if bundle.artifact is not None and bundle.artifact.is_here and not is_trusted:
        yield _UNTRUSTED


def _conclusion(bundle: Bundle, replay: Replay) -> tuple[int, str]:
    recorded = bundle.parity
    if recorded is not None and recorded.outcome is not replay.outcome:
        if replay.outcome is Outcome.INCONCLUSIVE:
            return UNJUDGED, f"parity was {recorded.outcome.value}, and can't be judged now"
        return ANOTHER, f"another verdict: parity was {recorded.outcome.value} and is {replay.outcome.value}"
    others = [found.kind for found in bundle.verdicts if found.outcome is Outcome.FAIL and found.kind != "parity"]
    if others:
        return UNJUDGED, f"the FAIL was of {' and '.join(others)}; replay judges parity alone, so it stays unjudged"
    if recorded is None:
        return UNJUDGED, "the bundle has no verdict on parity, and replay judges nothing else"
    return SAME, f"the same verdict: {replay.outcome.value}"


def _backend(name: str) -> Backend:
    known = known_backends(Path.cwd()).by_name
    if name not in known:
        raise UsageError(f"the bundle's backend: {no_such_backend(name, known)}")
    reason = unmet_requirement(known[name])
    if reason:
        raise UsageError(f"the bundle's backend can't run here: {reason}")
    return known[name]


def _session(bundle: Bundle, task: str | None) -> Session:
    from pytest_cpuaccel.cli.waits import Waits
    from pytest_cpuaccel.core.option_values import number_of_bytes
    from pytest_cpuaccel.evaluation.session import SessionSettings, open_session
    from pytest_cpuaccel.machine.lock import MachineLock, default_lock_path

    settings = SessionSettings(
        threads=bundle.place.threads,
        task=task,
        cache_dir=None,
        cache_limit_bytes=number_of_bytes("20 GB"),
        cache_verify=False,
        wait_s=600.0,
    )
    return open_session(settings, Waits(), MachineLock(default_lock_path(), settings.wait_s))


def _model(bundle: Bundle, arguments: argparse.Namespace, session: Session) -> nn.Module:
    from pytest_cpuaccel.builder.load_model import check_task
    from pytest_cpuaccel.gate.entry_point import check_source, examined_by, is_entry_point

    source = arguments.model
    if arguments.task is not None:
        check_task(arguments.task, "--task")
    check_source(source)
    if is_entry_point(source) and not Path(source).exists():
        return examined_by(source, bundle.method, session.model).model
    return session.model(source, "--model")
