"""A bundle is judged again: its calls are made here, or, without the model, what it recorded is judged once more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.builder.fingerprint import model_key
from pytest_cpuaccel.bundles.artifact_files import check_artifact
from pytest_cpuaccel.bundles.bundle import ARTIFACT, Answers, Bundle, RecordedCall
from pytest_cpuaccel.bundles.difference import difference
from pytest_cpuaccel.bundles.leave import answers_of
from pytest_cpuaccel.bundles.recorded import KEPT_ELSEWHERE, judged_as_recorded
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.budget import Budgets, ParityBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import CpuaccelError, Terminated, UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kernel_census import KernelCensus
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Kind, Verdict
from pytest_cpuaccel.evaluation.argument_names import ArgumentNames
from pytest_cpuaccel.evaluation.comparer import Comparer
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.failure import Failure
from pytest_cpuaccel.evaluation.quantisation import Quantisation
from pytest_cpuaccel.evaluation.session import Session
from pytest_cpuaccel.evaluation.test import evaluate
from pytest_cpuaccel.judge.parity.workload import shown_of, workload_verdict

_REPLAYED: tuple[Kind, ...] = ("parity", "latency", "startup", "memory", "kernels")
"""What is judged by running the model."""


@dataclass(frozen=True)
class Replay:
    """What judging again came to.

    ``unjudged`` says for a recorded verdict why there is none of its kind now. ``ran`` says what ran. ``answers`` are
    lines on how the answers differ from the recorded ones; ``model`` on how the model does. ``kernels`` is None where
    nothing ran, or where the backend can't tell.
    """

    verdicts: tuple[Verdict, ...]
    ran: str
    unjudged: Mapping[Kind, str] = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    kernels: KernelCensus | None = None


@dataclass(frozen=True)
class Here:
    """What calls are made with here. ``versus`` is the backend that latencies are compared with."""

    model: nn.Module
    backend: Backend
    versus: Backend
    session: Session


def judge_recorded(bundle: Bundle) -> Replay:
    """Judge what was recorded by the recorded terms; nothing runs.

    Raises:
        UsageError: scores or answers that nobody can judge.
    """
    verdicts, unjudged = [], {}
    for recorded in bundle.verdicts:
        found = judged_as_recorded(bundle, recorded.kind)
        if isinstance(found, Verdict):
            verdicts.append(found)
        else:
            unjudged[recorded.kind] = found
    what = "scores" if bundle.is_scored else "answers"
    how = "" if bundle.is_scored else " (--model makes the call)"
    return Replay(tuple(verdicts), f"nothing ran: the recorded {what} were judged again{how}", unjudged)


def run_again(bundle: Bundle, here: Here) -> Replay:
    """Build the model under the backend, make the recorded calls, and judge them by eager's here.

    Raises:
        UsageError: the model has other weights than that of the bundle; the bundle has no call.
        EagerError: the model can't be a reference.
        BuildError: the backend can't run it.
    """
    changes = _changes(bundle, here.model)
    budgets = _replayed_budgets(bundle)
    with _recorded(bundle, here, budgets) as evaluation:
        results = list(evaluate(evaluation, here.session.context))
        result = next((each for each in results if each.call == bundle.label), results[-1])
        calls = _calls_here(bundle, evaluation)
        answers = _here(bundle, evaluation, calls, here.session)
    missing = {each.kind for each in bundle.verdicts} - {verdict.kind for verdict in result.verdicts}
    withheld = "it is not measured where the answer is wrong"
    return Replay(
        result.verdicts,
        f"{type(here.model).__name__} was built under {here.backend.name} here",
        {kind: KEPT_ELSEWHERE.get(kind, withheld) for kind in missing},
        tuple(_compared(bundle.made_by_test, answers)),
        changes,
        result.kernels,
    )


def run_artifact(bundle: Bundle, folder: Path, here: Here) -> Replay:
    """Have the backend load the artifact in the bundle's ``folder``, and judge its answers by eager's here.

    Loading may run code that is in the artifact.

    Raises:
        UsageError: the bundle has no artifact, or another than it says; the call is a ``generate()``; the model has
            other weights; the bundle has no call.
        EagerError: the model can't be a reference.
        BuildError: the backend can't load it.
    """
    if bundle.artifact is None or not bundle.artifact.is_here:
        raise UsageError("--trust-artifact: the bundle holds no artifact (--cpu-bundle-artifact puts it there)")
    if bundle.generates:
        raise UsageError("--trust-artifact: a generate() is replayed by a build made here alone; leave it out")
    check_artifact(bundle.artifact, folder / ARTIFACT)
    changes, session, budget = _changes(bundle, here.model), here.session, bundle.budgets.parity or ParityBudget()
    with _recorded(bundle, here, Budgets(parity=budget), is_called=False) as evaluation:
        comparer = Comparer(evaluation, budget, session.context)
        built = session.context.builder.build_from(folder / ARTIFACT, evaluation.request(_call(bundle.calls[-1])))
        try:
            calls = [comparer.called(built, _call(call)) for call in bundle.calls]
        finally:
            built.close()
        if bundle.state:
            found = shown_of(list(comparer.compare_in_sequence(calls, bundle.state)))
        else:
            found = comparer.compare(calls[-1], comparer.references(calls[-1]))
        answers = _here(bundle, evaluation, calls, session)
    kinds = {each.kind for each in bundle.verdicts} - {"parity"}
    return Replay(
        (workload_verdict(f"{here.backend.name}: {bundle.label}", [found]),),
        f"{here.backend.name} loaded the artifact of the bundle",
        dict.fromkeys(kinds, "with --trust-artifact parity alone is judged"),
        tuple(_compared(bundle.calls, answers)),
        changes,
    )


def _replayed_budgets(bundle: Bundle) -> Budgets:
    """The budgets of the recorded verdicts. Those of others are withheld from a wrong answer, or were never reached.

    Raises:
        UsageError: none of them is judged by a call.
    """
    recorded, given = {verdict.kind for verdict in bundle.verdicts}, bundle.budgets
    kinds = [kind for kind in _REPLAYED if kind in recorded and getattr(given, kind) is not None]
    if not bundle.calls:
        raise UsageError("--model: the bundle holds scores, which the test's own function gave; leave out --model")
    if not kinds:
        raise UsageError("--model: the bundle has no verdict that a call here could repeat")
    return Budgets(**{kind: getattr(given, kind) for kind in kinds})


@contextlib.contextmanager
def _recorded(bundle: Bundle, here: Here, budgets: Budgets, *, is_called: bool = True) -> Iterator[Evaluation]:
    """The evaluation of the recorded calls, made again from the recorded states of the generator."""
    session, parity = here.session, budgets.parity
    models = session.models(here.backend)
    models.compared = lambda: None if parity is None else parity.only
    with session.on_threads(), torch.random.fork_rng(devices=[]):
        kept = Quantisation(keep_fp32=bundle.model.keep_fp32 or None)
        names = ArgumentNames("--model", keep_fp32="keep_fp32 of the bundle")
        recorder: Any = models.accelerate(here.model, given=kept, names=names)
        try:
            for call in bundle.made_by_test if is_called else ():
                given = call.inputs.clone()
                if call.rng_state is not None:
                    _set_state(call.rng_state)
                run = recorder.generate if call.method == "generate" else recorder
                _call_with(run, given)
            yield next(iter(models.evaluations(budgets, here.versus)))
        finally:
            models.close()
            session.context.builder.release()


def _call_with(run: Callable[..., object], inputs: Inputs) -> None:
    try:
        run(*inputs.args, **inputs.kwargs)
    except (CpuaccelError, Terminated):
        raise
    except Exception as error:
        raise UsageError(f"--model: the model raises on the bundle's inputs: {reason(error)}") from error


def _set_state(state: torch.Tensor) -> None:
    try:
        torch.set_rng_state(state)
    except RuntimeError:
        raise UsageError("random_state is no state of torch's generator") from None


def _call(call: RecordedCall) -> Call:
    return Call(call.method, call.inputs, None, call.rng_state)


def _calls_here(bundle: Bundle, evaluation: Evaluation) -> Sequence[Call]:
    return evaluation.forward_calls if bundle.state else evaluation.calls[-1:]


def _here(bundle: Bundle, evaluation: Evaluation, calls: Sequence[Call], session: Session) -> list[Answers]:
    nothing = Result("", evaluation.backend.name, "", ())
    return answers_of(
        Failure(nothing, Comparer(evaluation, ParityBudget(), session.context), tuple(calls), bundle.state)
    )


def _compared(recorded: Sequence[RecordedCall], here: Sequence[Answers]) -> Iterator[str]:
    for side, name in (("actual", "the backend's answer"), ("expected", "eager's answer")):
        pairs = zip(recorded, here, strict=True)
        found = [difference(getattr(one.answers, side), getattr(other, side)) for one, other in pairs]
        number = next((number for number, text in enumerate(found, 1) if text), 0)
        of_call = f" to call {number}" if len(found) > 1 and number else ""
        yield f"{name}{of_call}: {found[number - 1] if number else 'bit for bit as recorded'}"


def _changes(bundle: Bundle, model: nn.Module) -> tuple[str, ...]:
    """How the model differs from that of the bundle.

    Raises:
        UsageError: by its weights, so that whatever it answers says nothing of the bundle.
    """
    key, recorded = model_key(model), bundle.model.key
    if key["weights"] != recorded.get("weights"):
        raise UsageError(
            f"--model: these are other weights than those of the bundle's {bundle.model.name}; give the model that the "
            "test used, with the same seed or checkpoint"
        )
    return tuple(f"the model's {name} is another" for name in ("structure", "code") if key[name] != recorded.get(name))
