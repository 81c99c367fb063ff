"""Where a backend's wrong answer to a forward call begins."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.builder.export_chain import export_in_turn
from pytest_cpuaccel.core.backend import Backend, Subject
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.localization import Localization
from pytest_cpuaccel.core.observed_run import ObservedRun
from pytest_cpuaccel.diagnose.localize.alone import SECONDS, Trials, built_alone
from pytest_cpuaccel.diagnose.localize.error import LIMIT
from pytest_cpuaccel.diagnose.localize.observed import ObservedModules
from pytest_cpuaccel.diagnose.localize.reference import EagerModules, eager_modules

_HEALED = "observing it removes the error: the fault lies in a fusion"
_HEALED_BY_EXPORT = "exported for this one call it answers right: the fault lies in the graph for generate()"


@dataclass(frozen=True)
class WrongCall:
    """A forward call that a backend answers wrong: ``subject`` and ``folder`` are those of the build in use."""

    model: nn.Module
    backend: Backend
    call: Call
    subject: Subject
    folder: Path | None


@dataclass(frozen=True)
class RightAnswer:
    """The answer is right after all: its error is ``ratio`` times eager's own rounding."""

    ratio: float


def localize(wrong: WrongCall) -> Localization | RightAnswer:
    """Return the first module that is wrong, or why none can be named.

    Raises:
        CpuaccelError: eager can't run in fp64, or holds too much.
    """
    with upstream.contained(), torch.no_grad():
        eager = eager_modules(wrong.model, wrong.call)
    if "" not in eager.exact or len(eager.exact) == 1:
        return Localization(note="the model calls no modules, so there is none to name")
    answered = eager.error_of("", wrong.call.output)
    if answered is not None and answered.ratio <= LIMIT:
        return RightAnswer(answered.ratio)
    return _from_modules(wrong, eager)


def _from_modules(wrong: WrongCall, eager: EagerModules) -> Localization:
    trials = Trials(eager, built_alone(wrong.backend, wrong.subject, eager), SECONDS)
    seen, why = _observation(wrong, eager)
    if seen is None:
        return _noted(trials.descend(), why)
    if seen.feed is not None:
        trials.feed = seen.feed
    modules = ObservedModules(eager, seen, trials)
    if modules.shows_the_fault:
        return modules.first()
    healed = _HEALED_BY_EXPORT if wrong.subject.generates and wrong.backend.exporters else _HEALED
    alone = trials.descend()
    return replace(alone, note="; ".join(filter(None, (healed, alone.note))))


@contextmanager
def _observed_build(wrong: WrongCall, eager: EagerModules) -> Iterator[tuple[Subject, Path | None]]:
    """The subject and the folder of a build that can be observed: an artifact for generate() has other calls in it."""
    if not wrong.subject.generates or not wrong.backend.exporters:
        yield wrong.subject, wrong.folder
        return
    own = replace(wrong.subject, inputs=wrong.call.inputs, expected=eager.rounded[""].output, generates=False)
    with tempfile.TemporaryDirectory(prefix="cpuaccel-") as folder:
        with upstream.silenced():
            export_in_turn(wrong.backend.exporters, own, Path(folder))
        yield own, Path(folder)


def _noted(found: Localization, why: str) -> Localization:
    return replace(found, note="; ".join(filter(None, (found.note, why))))


def _observation(wrong: WrongCall, eager: EagerModules) -> tuple[ObservedRun | None, str]:
    """What the modules returned, or why that could not be seen."""
    if wrong.backend.observe is None:
        return None, ""
    try:
        with _observed_build(wrong, eager) as (subject, folder), upstream.contained(), torch.no_grad():
            return wrong.backend.observe(subject, folder, wrong.call.inputs), ""
    except CpuaccelError as error:
        return None, f"its modules can't be observed: {str(error).removeprefix(f'{wrong.backend.name}: ')}"
