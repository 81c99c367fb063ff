"""Other inputs than the first: every backend answers as eager does, or says clearly that it won't."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import pytest
import torch
from packaging.version import Version
from torch import nn

from pytest_cpuaccel.backends.registry import BUILTIN, EAGER
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.backends.torch_int8 import TORCH_INT8
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.budget import Budgets, ParityBudget
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparisons import Comparisons
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.parity import evaluate_parity
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache
from pytest_cpuaccel.evaluation.scores import Scores
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.recording.cpu_model import CpuModel, calls_of
from pytest_cpuaccel.recording.workload import workloads
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES
from tests import compiling, models, thorough
from tests.exports import kept_exports

pytest.importorskip("transformers")

REFUSE_NOTHING = ("eager", "torchscript", "ort", "openvino", "bf16", "torch-int8")
NOT_FOR_BERT = ("fastpath", "channels-last", "ipex-llm")
MISCOMPILED = ("torchao-int8-inductor", 1, 1)  # torch 2.13, torchao 0.18: one token alone, with a batch axis before it
TOO_LOSSY = "openvino-int8-ptq"  # of weights as wide as these models' its activations keep a cosine of 0.77
ALIKE = (
    *(
        "torchscript-optimized",
        "inductor-freezing",
        "inductor-max-autotune",
        "ort-o1",
        "ort-o2",
        "ort-o3",
        "ort-int8-static",
    ),
    *("torchao-int8-weights", "torchao-int8-weights-inductor", "ipex-int8-dynamic", "inc-int8-static"),
)
"""Backends that take the same way to other shapes as one that is asked throughout."""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvaluationContext]:
    store = ArtifactStore(kept_exports(tmp_path_factory), 10**9)
    builder = Builder(store, 1, say=[].append, busy=lambda _: contextlib.nullcontext())
    yield EvaluationContext(builder, ReferenceCache(), contextlib.nullcontext, RaceConfig())
    builder.release()


@pytest.fixture(
    scope="module",
    params=thorough.some_marked([item for item in BUILTIN if item.name != TOO_LOSSY], ALIKE),
    ids=lambda backend: backend.name,
)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    chosen: Backend = request.param
    reason = unmet_requirement(chosen)
    if reason:
        pytest.skip(reason)
    with compiling.spared(chosen, request.config):
        yield chosen


@pytest.fixture(scope="module")
def bert() -> nn.Module:
    return models.bert_encoder(max_position_embeddings=128)


@pytest.fixture(scope="module")
def gpt2() -> nn.Module:
    return models.gpt2()


def assert_as_eager(model: nn.Module, backend: Backend, context: EvaluationContext, *args: Any, **kwargs: Any) -> None:
    recorder = CpuModel(model, backend, context.builder)
    try:
        recorder(*args, **kwargs)
    except BuildError as refusal:
        if backend.name in REFUSE_NOTHING:
            raise
        pytest.skip(str(refusal))
    assert_judged_right(recorder, model, backend, context)


def assert_judged_right(recorder: CpuModel, model: nn.Module, backend: Backend, context: EvaluationContext) -> None:
    calls = calls_of(recorder)
    evaluation = Evaluation(model, model, backend, EAGER, calls, Scores(), Budgets())
    verdict = evaluate_parity(workloads(calls)[0], Comparisons(evaluation, ParityBudget(), context))
    assert verdict.outcome is Outcome.PASS, verdict.sentence


def left_padded(batch: int, length: int, padding: int) -> dict[str, torch.Tensor]:
    given = models.tokens(batch, length, padding)
    return {name: tensor.flip(1) for name, tensor in given.items()}


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (1, 128), (3, 17), (8, 1), (8, 128)])
def test_any_batch_and_length(
    bert: nn.Module,
    backend: Backend,
    context: EvaluationContext,
    batch: int,
    length: int,
    request: pytest.FixtureRequest,
) -> None:
    if (backend.name, batch, length) == MISCOMPILED and request.config.getoption(compiling.OPTION):
        request.applymarker(pytest.mark.xfail(reason="torch.compile of torchao's own module errs so too", strict=True))
    assert_as_eager(bert, backend, context, **models.tokens(batch, length, padding=length // 4))


def test_padding_on_the_right_of_an_encoder(bert: nn.Module, backend: Backend, context: EvaluationContext) -> None:
    if backend.name in NOT_FOR_BERT:
        pytest.skip("it has nothing for BERT")
    recorder = CpuModel(bert, backend, context.builder)
    recorder(**models.tokens(3, 17, padding=5))  # the one call here that no other may refuse
    assert_judged_right(recorder, bert, backend, context)


def test_padding_on_the_left_of_an_encoder(bert: nn.Module, backend: Backend, context: EvaluationContext) -> None:
    assert_as_eager(bert, backend, context, **left_padded(3, 17, padding=5))


def test_padding_on_the_left_of_a_decoder(gpt2: nn.Module, backend: Backend, context: EvaluationContext) -> None:
    try:
        assert_as_eager(gpt2, backend, context, **left_padded(3, 17, padding=5))
    except BuildError as refusal:
        if backend.name != "torchscript":  # which the masks of some versions of transformers can't be traced for
            raise
        pytest.skip(str(refusal))


def test_a_row_of_padding_alone_spoils_no_other(bert: nn.Module, backend: Backend, context: EvaluationContext) -> None:
    given = models.tokens(3, 17, padding=5)
    given["attention_mask"][1] = 0
    assert_as_eager(bert, backend, context, **given)


def test_a_call_without_a_mask(bert: nn.Module, backend: Backend, context: EvaluationContext) -> None:
    if backend.name == "openvino-bf16" and Version(metadata.version("openvino")) < Version("2026"):
        pytest.skip("OpenVINO 2025.2 answers NaN throughout, which parity tells")
    assert_as_eager(bert, backend, context, input_ids=models.tokens(3, 17)["input_ids"])


def test_keywords_in_another_order(bert: nn.Module, backend: Backend, context: EvaluationContext) -> None:
    given = models.tokens(3, 17, padding=5)
    assert_as_eager(bert, backend, context, **dict(reversed(given.items())))


def test_ids_and_mask_of_32_bits(bert: nn.Module, backend: Backend, context: EvaluationContext) -> None:
    given = {name: tensor.int() for name, tensor in models.tokens(3, 17, padding=5).items()}
    assert_as_eager(bert, backend, context, **given)


def test_hidden_states(backend: Backend, context: EvaluationContext) -> None:
    """Of a model with weights of its own: BetterTransformer refuses them in the call that it is built from."""
    bert = models.bert_encoder(max_position_embeddings=32)
    assert_as_eager(bert, backend, context, **models.tokens(3, 17, padding=5), output_hidden_states=True)


def test_floats_of_64_bits_for_a_model_that_takes_them(backend: Backend, context: EvaluationContext) -> None:
    """Fed to a model that casts its input itself: one that doesn't raises in eager mode too."""
    x = torch.randn(2, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_as_eager(models.redraw(Casting()), backend, context, x=x)


def test_floats_of_64_bits_that_eager_refuses_are_refused_in_its_own_words(
    backend: Backend, context: EvaluationContext
) -> None:
    recorder = CpuModel(models.mlp(), backend, context.builder)
    with pytest.raises(RuntimeError, match="mat1 and mat2 must have the same dtype"):
        recorder(x=torch.zeros(2, 16, dtype=torch.float64))


@pytest.mark.parametrize("given", [{"scale": torch.tensor(2.0)}, {}])
def test_optional_inputs_given_and_left_out(
    backend: Backend, context: EvaluationContext, given: dict[str, torch.Tensor]
) -> None:
    x = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    assert_as_eager(models.two_heads(), backend, context, x=x, **given)


def test_a_cache_from_eager_is_continued_or_refused(
    gpt2: nn.Module, backend: Backend, context: EvaluationContext
) -> None:
    given = models.tokens(2, 9, padding=0)
    with torch.no_grad():
        cache = gpt2(input_ids=given["input_ids"][:, :-1], use_cache=True).past_key_values
    with contextlib.suppress(BuildError):
        assert_as_eager(
            gpt2, backend, context, **{**given, "input_ids": given["input_ids"][:, -1:]}, past_key_values=cache
        )


def test_generated_tokens_without_the_one_that_the_decoder_starts_from(context: EvaluationContext) -> None:
    """As Whisper returns them in transformers 5: int8 may then differ from eager in the very first."""
    whisper = next(item for item in ARCHITECTURES if item.name == "whisper")
    model: Any = whisper.make()
    recorder: Any = CpuModel(model, TORCH_INT8, context.builder)
    recorder.generate(input_features=whisper.inputs(model).kwargs["input_features"], max_new_tokens=5)
    assert_judged_right(recorder, model, TORCH_INT8, context)


class Casting(nn.Module):
    """(batch, 16) of any float type -> (batch, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = models.Mlp()
        self.register_buffer("sample", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.to(self.sample))
