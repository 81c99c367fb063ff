"""``generate()`` of more than token ids: everything that ``forward`` takes is built for, handed on and judged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends.bf16 import BF16
from pytest_cpuaccel.backends.openvino import OPENVINO
from pytest_cpuaccel.backends.ort import ORT
from pytest_cpuaccel.backends.registry import EAGER
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.backends.torch_int8 import TORCH_INT8
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.builder.first_step import FirstStep
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.budget import Budgets, ParityBudget
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.comparisons import Comparisons
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.parity import evaluate_parity
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache
from pytest_cpuaccel.evaluation.scores import Scores
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.recording.cpu_model import CpuModel, calls_of
from pytest_cpuaccel.recording.workload import workloads
from tests import prompts

pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("one_thread")

GREEDY = {"do_sample": False}
SEVERAL = {"do_sample": False, "num_beams": 3, "num_return_sequences": 2}
SAMPLED = {"do_sample": True, "num_return_sequences": 2}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[EvaluationContext]:
    builder = Builder(ArtifactStore(tmp_path, 10**9), 1, say=[].append, busy=lambda _: contextlib.nullcontext())
    yield EvaluationContext(builder, ReferenceCache(), contextlib.nullcontext, RaceConfig())
    builder.release()


def verdict(model: nn.Module, backend: Backend, context: EvaluationContext, **given: Any) -> Verdict:
    recorder: Any = CpuModel(model, backend, context.builder)
    recorder.generate(max_new_tokens=5, **given)
    calls = calls_of(recorder)
    evaluation = Evaluation(model, model, backend, EAGER, calls, Scores(), Budgets())
    return evaluate_parity(workloads(calls)[0], Comparisons(evaluation, ParityBudget(), context))


@pytest.fixture(params=prompts.PROMPTS)
def prompt(request: pytest.FixtureRequest) -> tuple[nn.Module, prompts.Prompt]:
    return prompts.PROMPTS[request.param]()


@pytest.mark.parametrize("backend", [EAGER, BF16, TORCH_INT8], ids=lambda backend: backend.name)
@pytest.mark.parametrize("settings", [GREEDY, SEVERAL], ids=["greedy", "beams"])
def test_right_tokens_pass(
    prompt: tuple[nn.Module, prompts.Prompt], backend: Backend, settings: dict[str, Any], context: EvaluationContext
) -> None:
    model, given = prompt
    found = verdict(model, backend, context, **given, **settings)
    assert found.outcome is Outcome.PASS, found.sentence


@pytest.mark.parametrize(("settings", "each"), [(GREEDY, 1), (SAMPLED, 2)], ids=["a row for each", "two rows for each"])
def test_one_forward_call_scores_tokens_as_eagers_own_steps_did(
    prompt: tuple[nn.Module, prompts.Prompt], settings: dict[str, Any], each: int
) -> None:
    model, given = prompt
    told = {"return_dict_in_generate": True, "output_logits": True, "max_new_tokens": 5, "min_new_tokens": 5}
    torch.manual_seed(0)
    with torch.no_grad():
        output: Any = model.generate(**tree.clone(given), **settings, **told)
        step = FirstStep.of(model, Inputs(kwargs={**given, **settings, **told}), each)
        tokens = output.sequences
        if not torch.equal(tokens[:, : step.ids.shape[1]], step.ids):  # of embeddings, the new tokens alone
            tokens = torch.cat([step.ids, tokens], dim=1)
        forced = model(**step.forced(tokens).kwargs).logits
    torch.testing.assert_close(forced[:, -6:-1], torch.stack(output.logits, dim=1), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "backend"),
    [("token_types", ORT), ("git", OPENVINO), ("no_mask", OPENVINO)],
    ids=lambda value: getattr(value, "name", value),
)
def test_an_exported_graph_takes_them(name: str, backend: Backend, context: EvaluationContext) -> None:
    if reason := unmet_requirement(backend):
        pytest.skip(reason)
    model, given = prompts.PROMPTS[name]()
    found = verdict(model, backend, context, **given, **GREEDY)
    assert found.outcome is Outcome.PASS, found.sentence


@pytest.mark.parametrize("backend", [ORT, OPENVINO], ids=lambda backend: backend.name)
def test_what_no_graph_takes_is_refused_by_its_name(backend: Backend, context: EvaluationContext) -> None:
    if reason := unmet_requirement(backend):
        pytest.skip(reason)
    model, given = prompts.embeddings()
    with pytest.raises(BuildError, match=r"a decoder's graph takes input_ids; given were .*inputs_embeds"):
        verdict(model, backend, context, **given, **GREEDY)


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("llava", "pixel_values"),
        ("git", "pixel_values"),
        ("image_to_text", "pixel_values"),
        ("speech_to_text", "input_features"),
        ("bert_to_bert", "token_type_ids"),
        ("token_types", "token_type_ids"),
        ("embeddings", "inputs_embeds"),
    ],
)
def test_a_backend_that_ignores_one_fails(name: str, ignored: str, context: EvaluationContext) -> None:
    def without(inputs: dict[str, Any]) -> dict[str, Any]:
        return {key: torch.zeros_like(value) if key == ignored else value for key, value in inputs.items()}

    def load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
        module: Any = subject.fresh_module()
        return BuiltModel(
            lambda **given: module(**without(given)),
            threads=torch.get_num_threads(),
            generate=lambda **given: module.generate(**without(given)),
        )

    model, given = prompts.PROMPTS[name]()
    found = verdict(model, replace(EAGER, name="blind", load=load), context, **given, **GREEDY)
    assert found.outcome is Outcome.FAIL, found.sentence


def test_a_loop_around_the_models_forward_is_refused_with_what_would_do(context: EvaluationContext) -> None:
    model, given = prompts.blip()
    with pytest.raises(BuildError, match=r"does not go through the forward\(\) of Blip.* the part of the model"):
        verdict(model, EAGER, context, **given)


def test_following_a_loop_leaves_the_model_as_it_was() -> None:
    model, given = prompts.llava()
    before = [dict(vars(part)) for part in model.modules()]
    state = torch.get_rng_state()
    FirstStep.of(model, Inputs(kwargs=given)).inputs()
    assert torch.equal(torch.get_rng_state(), state)
    for part, kept in zip(model.modules(), before, strict=True):
        assert vars(part).keys() == kept.keys()
        assert all(vars(part)[name] is value for name, value in kept.items())
