"""``forward`` and ``generate()`` in any order, of one model in one session: each answers as it does alone."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends.openvino import OPENVINO
from pytest_cpuaccel.backends.ort import ORT
from pytest_cpuaccel.backends.registry import EAGER
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.budget import Budgets, ParityBudget
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.diagnose import faults
from pytest_cpuaccel.evaluation.comparisons import Comparisons
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.parity import evaluate_parity
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache
from pytest_cpuaccel.evaluation.scores import Scores
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.recording.cpu_model import CpuModel, calls_of
from pytest_cpuaccel.recording.workload import workloads
from tests import exports, models
from tests.faults.faults import baked_shape

pytestmark = pytest.mark.usefixtures("one_thread")

Ask = Callable[[Any, Mapping[str, Any]], Any]

WAYS: dict[str, Ask] = {
    "generate": lambda model, given: model.generate(**given, max_new_tokens=4, do_sample=False),
    "forward": lambda model, given: model(**_asked(model, given)),
    "hidden states": lambda model, given: model(**_asked(model, given), output_hidden_states=True),
    "a tuple": lambda model, given: model(**_asked(model, given), return_dict=False),
    "the last logits": lambda model, given: model(**given, logits_to_keep=1),
}


def _asked(model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What ``forward`` takes, of an encoder-decoder with a text to decode."""
    decoded = {"decoder_input_ids": torch.full((2, 4), 7)} if model.config.is_encoder_decoder else {}
    return {**given, **decoded}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("artifacts"), 10**9)


@pytest.fixture
def context(store: ArtifactStore) -> Iterator[EvaluationContext]:
    builder = Builder(store, 1, say=[].append, busy=lambda _: contextlib.nullcontext())
    yield EvaluationContext(builder, ReferenceCache(), contextlib.nullcontext, RaceConfig())
    builder.release()


def verdicts(
    model: nn.Module, backend: Backend, context: EvaluationContext, order: Sequence[Callable[[Any], Any]]
) -> list[Verdict]:
    recorder = CpuModel(model, backend, context.builder)
    for ask in order:
        ask(recorder)
    evaluations = [
        Evaluation(model, model, backend, EAGER, (call,), Scores(), Budgets()) for call in calls_of(recorder)
    ]
    return [
        evaluate_parity(workload, Comparisons(evaluation, ParityBudget(), context))
        for evaluation in evaluations
        for workload in workloads(evaluation.calls)
    ]


@pytest.mark.parametrize(
    ("backend", "order"),
    [
        pytest.param(ORT, ("generate", "forward"), marks=pytest.mark.thorough),
        (ORT, ("forward", "generate")),
        (OPENVINO, ("generate", "forward")),
    ],
    ids=["ort, generate first", "ort, forward first", "openvino, generate first"],
)
def test_an_encoder_decoder(backend: Backend, order: tuple[str, ...], context: EvaluationContext) -> None:
    pytest.importorskip("transformers")
    if reason := unmet_requirement(backend):
        pytest.skip(reason)
    model, given = exports.tiny_t5(), models.tokens(2, 8, 3)
    found = verdicts(model, backend, context, [lambda it, way=way: WAYS[way](it, given) for way in order])
    assert [verdict.outcome for verdict in found] == [Outcome.PASS] * 2


@pytest.mark.parametrize("first", ["generate", "forward"])
def test_a_decoder_asked_for_other_outputs(first: str, context: EvaluationContext) -> None:
    pytest.importorskip("transformers")
    if reason := unmet_requirement(ORT):
        pytest.skip(reason)
    model = models.gpt2()
    if "logits_to_keep" not in inspect.signature(model.forward).parameters:
        pytest.skip("this transformers always returns all logits")
    given = {name: tensor.flip(1) for name, tensor in models.tokens(2, 8, 3).items()}
    order = [first, *(way for way in ("generate", "forward", "a tuple", "the last logits") if way != first)]
    found = verdicts(model, ORT, context, [lambda it, way=way: WAYS[way](it, given) for way in order])
    assert [verdict.outcome for verdict in found] == [Outcome.PASS] * len(order)


def test_a_build_that_lacks_outputs_serves_no_forward(context: EvaluationContext) -> None:
    """Whatever the backend: what it says its builds for ``generate()`` lack is believed."""
    pytest.importorskip("transformers")

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        built = EAGER.load(subject, folder)
        if not subject.generates:
            return built

        def forward(**given: Any) -> Any:
            return {"logits": built.forward(**given).logits}

        return replace(built, forward=forward, lacks=frozenset({"hidden_states"}))

    model, given = models.gpt2(), models.tokens(2, 8, 0)
    ways = [lambda it, way=way: WAYS[way](it, given) for way in ("generate", "hidden states", "generate")]
    found = verdicts(model, replace(EAGER, name="partial", load=load), context, ways)
    assert [verdict.outcome for verdict in found] == [Outcome.PASS] * 3


@pytest.mark.parametrize(
    ("is_ours", "said", "not_said"),
    [(True, "a bug of pytest-cpuaccel, please report it", "accepts()"), (False, "accepts() of eager", "report")],
)
def test_who_is_to_mend_a_build_that_serves_calls_it_is_wrong_for(
    is_ours: bool, said: str, not_said: str, context: EvaluationContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = baked_shape(EAGER)
    monkeypatch.setattr(faults, "BUILTIN", (backend,) if is_ours else ())
    x = torch.linspace(-1, 1, 48).reshape(3, 16)
    *_, found = verdicts(models.mlp(), backend, context, [lambda it: it(x=x[:2]), lambda it: it(x=x)])
    hint = " ".join((*found.evidence, *(diagnosis.sentence for diagnosis in found.diagnoses)))
    assert found.outcome is Outcome.FAIL
    assert said in hint
    assert not_said not in hint
