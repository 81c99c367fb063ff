"""Intel Extension for PyTorch, beside the only torch that it works with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_cpuaccel.build.availability import unmet_requirement
from pytest_cpuaccel.build.backends.ipex import IPEX, IPEX_BF16
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from tests import models
from tests.promises import assert_alike, assert_same_state, build, state
from tests.subjects import subject

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.skipif(unmet_requirement(IPEX) is not None, reason=str(unmet_requirement(IPEX))),
]


@pytest.fixture(params=[IPEX, IPEX_BF16], ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param


X = torch.linspace(-1, 1, 48).reshape(3, 16)


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (models.bert_classifier, models.tokens()),
        (models.bert_qa, models.tokens()),
        (models.bert_encoder, models.tokens()),
        (models.vit, models.digits()),
        (models.gpt2, models.tokens()),
        (models.llama, models.tokens()),
        (models.mlp, {"x": X}),
        (models.two_heads, {"x": X, "scale": torch.full((3, 1), 2.0)}),
        (models.cnn, {"input": models.digits()["pixel_values"]}),
    ],
    ids=["bert_classifier", "bert_qa", "bert_encoder", "vit", "gpt2", "llama", "mlp", "two_heads", "cnn"],
)
def test_the_answer_is_eagers_and_comes_from_a_frozen_trace(
    backend: Backend, make: Any, inputs: Any, tmp_path: Path
) -> None:
    model = make()
    before = state(model)
    asked = subject(model, **inputs)
    built = build(backend, asked, tmp_path)
    with torch.no_grad():
        assert_alike(built.forward(**inputs), asked.expected, backend.precision)
    assert built.facts["module"] == "RecursiveScriptModule"
    assert built.facts["threads"] == torch.get_num_threads()
    assert built.generate is None
    assert_same_state(before, state(model))


def test_the_layers_are_the_extensions_own(backend: Backend, tmp_path: Path) -> None:
    built = build(backend, subject(models.mlp(), x=X), tmp_path)
    assert built.facts["ipex_layers"] == 2


def test_another_shape_is_not_accepted(backend: Backend, tmp_path: Path) -> None:
    built = build(backend, subject(models.mlp(), x=X), tmp_path)
    assert built.accepts(Inputs(kwargs={"x": X}))
    assert not built.accepts(Inputs(kwargs={"x": X[:2]}))
    assert not built.accepts(Inputs(kwargs={"x": X.double()}))


def test_generate_runs_the_optimised_module(backend: Backend, tmp_path: Path) -> None:
    model, prompt = models.llama(), models.tokens(padding=0)
    built = build(backend, subject(model, generates=True, **prompt), tmp_path)
    assert built.generate is not None
    actual = built.generate(**prompt, max_new_tokens=4, do_sample=False)
    assert built.facts["module"] == "LlamaForCausalLM"
    if backend.precision is Precision.FP32:
        assert torch.equal(actual, model.generate(**prompt, max_new_tokens=4, do_sample=False))


def test_a_generating_model_without_a_replaced_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="replaced no layer of GPT2LMHeadModel"):
        build(IPEX, subject(models.gpt2(), generates=True, **models.tokens()), tmp_path)


def test_autocast_ends_with_the_call(tmp_path: Path) -> None:
    built = build(IPEX_BF16, subject(models.mlp(), x=X), tmp_path)
    with torch.no_grad():
        built.forward(x=X)
    assert not torch.is_autocast_enabled("cpu")
