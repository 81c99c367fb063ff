"""The opening of a gate: the model is found, and its examples are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pytest_cpuaccel.builder.load_model import check_task
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.tolerance_lock import Lock, LockKey
from pytest_cpuaccel.evaluation.session import Session, SessionSettings, Telling, open_session
from pytest_cpuaccel.evaluation.tolerance_book import ToleranceBook
from pytest_cpuaccel.gate.budgets import Limits
from pytest_cpuaccel.gate.entry_point import check_source, examined_by, is_entry_point
from pytest_cpuaccel.gate.example import Examined
from pytest_cpuaccel.gate.examples import examined_checkpoint
from pytest_cpuaccel.gate.run import Gate
from pytest_cpuaccel.gate.settings import GateSettings
from pytest_cpuaccel.gate.task import names_generate
from pytest_cpuaccel.machine.lock import MachineLock, default_lock_path
from pytest_cpuaccel.tolerances.tolerance_file import read_file

_OF_TOKENS = ("ttft", "tpot")


def open_gate(settings: GateSettings, limits: Limits, versus: Backend, progress: Telling) -> Gate:
    """Return a gate whose model is loaded and takes its examples.

    Raises:
        UsageError: there is no such model or task, no examples can be made for it, or it raises on those made. The
            file of the tolerance lock can't be read.
        UserCodeError: code behind an entry point raises.
        EagerError: the model can't be a reference.
        EagerRaisesError: it raises on inputs of the user.
    """
    lock = MachineLock(default_lock_path(), settings.wait_s)
    lock.check()
    book = ToleranceBook(_locks(settings.tolerances))
    session = open_session(_session_settings(settings), progress, lock)
    session.context = replace(session.context, tolerances=book)
    examined = _examined(settings, session)
    _check_limits(limits, examined)
    gate = Gate(examined, session, lock, versus, limits.budgets, settings.inconclusive, settings.optional)
    gate.check_eager()
    return gate


def _locks(file: Path | None) -> Mapping[LockKey, Lock]:
    if file is None:
        return {}
    if not file.exists():
        raise UsageError(f"--cpu-tolerances: there is no file {str(file)!r}; pytest --cpu-tolerances=write makes one")
    return read_file(file).locks


def _session_settings(settings: GateSettings) -> SessionSettings:
    return SessionSettings(
        threads=settings.threads,
        task=settings.task,
        cache_dir=settings.cache_dir,
        cache_limit_bytes=settings.cache_limit_bytes,
        cache_verify=False,
        wait_s=settings.wait_s,
    )


def _examined(settings: GateSettings, session: Session) -> Examined:
    source, task = settings.source, settings.task
    if task is not None:
        check_task(task, "--task")
    check_source(source)
    if is_entry_point(source) and not Path(source).exists():
        return examined_by(source, "generate" if names_generate(task) else "forward", session.model)
    return examined_checkpoint(source, session.model(source, "FOLDER_OR_ID"), task)


def _check_limits(limits: Limits, examined: Examined) -> None:
    of_tokens = [f"--{name}" for name in _OF_TOKENS if name in limits.by_name]
    if of_tokens and not any(example.method == "generate" for example in examined.examples):
        raise UsageError(f"{' and '.join(of_tokens)}: the model is not called by generate(), so it has no tokens")
