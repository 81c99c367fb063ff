"""A workload run in fresh processes, while nothing else runs on the machine."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import BusyError, CpuaccelError, DeadProcessError
from pytest_cpuaccel.core.verdict import Kind, Outcome, Verdict
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.generation import repeatable
from pytest_cpuaccel.isolated.bundle import Bundle, pack
from pytest_cpuaccel.recording.workload import Workload

T = TypeVar("T")


@contextlib.contextmanager
def dispatched(call: Call, evaluation: Evaluation, context: EvaluationContext) -> Iterator[Path]:
    """Yield the folder of a bundle: the model under the evaluation's backend, and one call of it.

    The machine is locked before the artifact: a process that waits for an artifact may share the machine's lock.

    Raises:
        BuildError: the model or the backend can't be sent to another process.
    """
    request = evaluation.request(call)
    sent = replace(call, inputs=repeatable(call.inputs), output=None)
    with context.alone(), context.builder.artifact(request) as artifact, tempfile.TemporaryDirectory() as folder:
        with upstream.contained():
            pack(
                Bundle(evaluation.backend, context.builder.subject(request), artifact, sent),
                evaluation.model,
                Path(folder),
            )
        yield Path(folder)


def if_possible(measure: Callable[[], T], say: Callable[[str], None]) -> T | None:
    """Return what ``measure`` finds in fresh processes, which nothing limits; None, with a note, where none can run it.

    Raises:
        DeadProcessError: a process died.
        BusyError: the machine did not become free.
    """
    try:
        return measure()
    except (BusyError, DeadProcessError):
        raise
    except CpuaccelError as error:
        say(f"start-up and peak memory have no limit and are left out, as no fresh process can run the model: {error}")
        return None


def verdict_on(
    kind: Kind, workload: Workload, evaluation: Evaluation, judged: Callable[[str], Verdict | None]
) -> Verdict | None:
    """Return what ``judged`` measures and judges in fresh processes; it gets the words that say of what.

    A process that dies is a FAIL, and so is a model or a backend that can't be sent to one; where the machine did not
    become free, nothing is known. What ``judged`` leaves out is None.
    """
    about = f"{evaluation.backend.name}: {workload.label}"
    try:
        return judged(about)
    except BusyError as busy:
        return Verdict(kind, Outcome.INCONCLUSIVE, f"{about}: not measured, because {busy}")
    except CpuaccelError as error:
        return Verdict(kind, Outcome.FAIL, f"{about}: {error}")
