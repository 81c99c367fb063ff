"""A backend that alters a private copy of the model, in this process: called once, so that it proves what it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_cpuaccel.core.backend import BuiltModel, Scalar, Subject, accept_all
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.observed_run import ObservedRun

Method = Callable[..., Any]

_NOTHING = contextlib.nullcontext()


@dataclass(frozen=True)
class AlteredModel:
    """An altered copy: its ``forward``, its ``generate`` where it has one, and what it ``accepts``.

    The first call is made under ``first_call``, and ``check_answer`` gets what it returned. ``facts()`` is asked then.
    It returns what proves the change. Both raise :class:`BuildError` of a copy that must not be used. ``module`` is the
    copy itself, where ``forward`` is a function around it.
    """

    forward: Method
    facts: Callable[[], Mapping[str, Scalar]]
    generate: Method | None = None
    accepts: Callable[[Inputs], bool] = accept_all
    first_call: contextlib.AbstractContextManager[object] = _NOTHING
    check_answer: Callable[[Any], None] = lambda _: None
    module: Any = None


def load_altered(alter: Callable[[Subject], AlteredModel], subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    """Return what ``alter`` makes of a private copy of the subject's model, after one call of it.

    Raises:
        BuildError: the model can't be altered, does not run then, or nothing shows that the change is in force.
        BackendUnavailableError: a package that the change takes does not import.
    """
    from pytest_cpuaccel.backends.toolkit import upstream

    with upstream.contained():
        return called_once(alter(subject), subject)


def called_once(altered: AlteredModel, subject: Subject) -> BuiltModel:
    """Return an altered copy as a built model, after one call of it.

    Raises:
        BuildError: it does not run, or nothing shows that the change is in force.
    """
    import torch

    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    with upstream.contained(), altered.first_call:
        answer = rehearse(altered.forward, subject.inputs)
    altered.check_answer(answer)
    return BuiltModel(
        forward=altered.forward,
        generate=altered.generate,
        accepts=altered.accepts,
        threads=torch.get_num_threads(),
        facts=altered.facts(),
    )


def observe_altered(
    alter: Callable[[Subject], AlteredModel],
    subject: Subject,
    folder: Path | None,  # noqa: ARG001
    inputs: Inputs,
) -> ObservedRun:
    """Return what each module of an altered copy took and returned, seen by hooks.

    Raises:
        BuildError: the model can't be altered, does not run then, or is no module afterwards.
    """
    from torch import nn

    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.module_calls import ModuleCalls
    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    with upstream.contained():
        altered = alter(subject)
        module = altered.forward if altered.module is None else altered.module
        if not isinstance(module, nn.Module):
            raise BuildError("what runs is a function, whose modules can't be seen")
        calls = ModuleCalls()
        with calls.watching(module):
            output = rehearse(altered.forward, inputs)
    seen = {call.place: call for call in calls.finished if call.place}
    return ObservedRun(
        outputs={place: call.output for place, call in seen.items()},
        output=output,
        method=f"hooks on {len(seen)} modules",
        inputs={place: call.inputs for place, call in seen.items()},
    )


def generate_of(module: Any, around: Callable[[Method], Method] | None = None) -> Method | None:
    """Return a module's ``generate``, with something ``around`` it; None where its class has none."""
    generate: Method | None = getattr(module, "generate", None)
    return generate if generate is None or around is None else around(generate)
