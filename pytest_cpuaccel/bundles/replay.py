"""A bundle is judged again: its call is made here, or, without the model, its recorded answers are compared again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.builder.fingerprint import model_key
from pytest_cpuaccel.bundles.artifact_files import check_artifact
from pytest_cpuaccel.bundles.bundle import ARTIFACT, Answers, Bundle
from pytest_cpuaccel.bundles.difference import difference
from pytest_cpuaccel.bundles.leave import answers_of
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.budget import Budgets, ParityBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.kernel_census import KernelCensus
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.argument_names import ArgumentNames
from pytest_cpuaccel.evaluation.comparer import Comparer
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.failure import Failure
from pytest_cpuaccel.evaluation.session import Session
from pytest_cpuaccel.evaluation.test import evaluate
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity.references import References


@dataclass(frozen=True)
class Replay:
    """What judging again came to.

    ``ran`` says what ran. ``answers`` are lines on how the answers differ from the recorded ones; ``model`` on how the
    model does. ``kernels`` is None where nothing ran, or where the backend can't tell.
    """

    outcome: Outcome
    sentence: str
    ran: str
    evidence: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    kernels: KernelCensus | None = None


def judge_recorded(bundle: Bundle) -> Replay:
    """Judge the recorded answers by the recorded terms; nothing runs.

    Raises:
        UsageError: they are those of ``generate()``, whose verdict takes the model; the test compared nothing.
    """
    if bundle.method == "generate":
        raise UsageError("a verdict on generate() takes the model's logits: give --model")
    answers, budget = bundle.answers, _budget(bundle)
    references = References(answers.expected, answers.expected64, answers.rounding)
    found = compare(answers.actual, references, bundle.inputs, Terms(budget, bundle.precision))
    ran = "nothing ran: the recorded answers were compared again (--model runs the call)"
    return Replay(found.outcome, found.sentence, ran, found.evidence)


def run_again(bundle: Bundle, model: nn.Module, backend: Backend, session: Session) -> Replay:
    """Build the model under the backend, make the recorded call, and judge its answer by eager's here.

    Raises:
        UsageError: the model has other weights than that of the bundle.
        EagerError: the model can't be a reference.
        BuildError: the backend can't run it.
    """
    changes = _changes(bundle, model)
    with _recorded(bundle, model, backend, session) as evaluation:
        result = next(iter(evaluate(evaluation, session.context)))
        call = evaluation.calls[-1]
        answers = _here(evaluation, call, result, session)
    verdict = result.verdicts[0]
    return Replay(
        verdict.outcome,
        verdict.sentence,
        f"{type(model).__name__} was built under {backend.name} here",
        verdict.evidence,
        _compared(bundle.answers, answers),
        changes,
        result.kernels,
    )


def run_artifact(bundle: Bundle, folder: Path, model: nn.Module, backend: Backend, session: Session) -> Replay:
    """Have the backend load the artifact in the bundle's ``folder``, and judge its answer by eager's here.

    Loading may run code that is in the artifact.

    Raises:
        UsageError: the bundle has no artifact, or another than it says; the call is a ``generate()``; the model has
            other weights.
        EagerError: the model can't be a reference.
        BuildError: the backend can't load it.
    """
    if bundle.artifact is None or not bundle.artifact.is_here:
        raise UsageError("--trust-artifact: the bundle holds no artifact (--cpu-bundle-artifact puts it there)")
    if bundle.method == "generate":
        raise UsageError("--trust-artifact: a generate() is replayed by a build made here alone; leave it out")
    check_artifact(bundle.artifact, folder / ARTIFACT)
    changes = _changes(bundle, model)
    with _recorded(bundle, model, backend, session, is_called=False) as evaluation:
        comparer = Comparer(evaluation, _budget(bundle), session.context)
        built = session.context.builder.build_from(folder / ARTIFACT, evaluation.request(_call(bundle)))
        try:
            call = comparer.called(built, _call(bundle))
            references = comparer.references(call)
            found = comparer.compare(call, references)
        finally:
            built.close()
        answers = _here(evaluation, call, Result("", backend.name, "", ()), session)
    ran = f"{backend.name} loaded the artifact of the bundle"
    compared = _compared(bundle.answers, answers)
    return Replay(found.outcome, f"{backend.name}: {found.sentence}", ran, found.evidence, compared, changes)


@contextlib.contextmanager
def _recorded(
    bundle: Bundle, model: nn.Module, backend: Backend, session: Session, *, is_called: bool = True
) -> Iterator[Evaluation]:
    """The evaluation of the recorded call, made again from the recorded state of the generator."""
    models, budgets = session.models(backend), Budgets(parity=_budget(bundle))
    models.compared = lambda: _budget(bundle).only
    with session.on_threads(), torch.random.fork_rng(devices=[]):
        recorder: Any = models.accelerate(model, names=ArgumentNames("--model"))
        try:
            if is_called:
                given = bundle.inputs.clone()
                if bundle.rng_state is not None:
                    _set_state(bundle.rng_state)
                run = recorder.generate if bundle.method == "generate" else recorder
                run(*given.args, **given.kwargs)
            yield next(iter(models.evaluations(budgets, backend)))
        finally:
            models.close()
            session.context.builder.release()


def _set_state(state: torch.Tensor) -> None:
    try:
        torch.set_rng_state(state)
    except RuntimeError:
        raise UsageError("random.state is no state of torch's generator") from None


def _call(bundle: Bundle) -> Call:
    return Call(bundle.method, bundle.inputs, None, bundle.rng_state)


def _budget(bundle: Bundle) -> ParityBudget:
    return bundle.budget or ParityBudget()


def _here(evaluation: Evaluation, call: Call, result: Result, session: Session) -> Answers:
    return answers_of(Failure(result, call, Comparer(evaluation, ParityBudget(), session.context)))


def _compared(recorded: Answers, here: Answers) -> tuple[str, ...]:
    sides = (
        ("the backend's answer", recorded.actual, here.actual),
        ("eager's answer", recorded.expected, here.expected),
    )
    return tuple(f"{name}: {difference(one, other) or 'bit for bit as recorded'}" for name, one, other in sides)


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
    return tuple(_differing(key, recorded, ("structure", "code")))


def _differing(key: dict[str, str], recorded: Any, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if key[name] != recorded.get(name):
            yield f"the model's {name} is another"
