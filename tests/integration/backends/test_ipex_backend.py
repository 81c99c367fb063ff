"""Intel Extension for PyTorch, beside the only torch that it works with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_cpuaccel.backends.ipex import IPEX, IPEX_BF16
from pytest_cpuaccel.backends.ipex_compile import IPEX_COMPILE
from pytest_cpuaccel.backends.ipex_int8 import IPEX_INT8, IPEX_INT8_DYNAMIC
from pytest_cpuaccel.backends.ipex_llm import IPEX_LLM
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.core.backend import Backend, Subject
from pytest_cpuaccel.core.errors import BuildError, UsageError
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


@pytest.fixture(params=[IPEX, IPEX_BF16, IPEX_INT8, IPEX_INT8_DYNAMIC], ids=lambda backend: backend.name)
def traced(request: pytest.FixtureRequest) -> Backend:
    return request.param


def calibrated(model: torch.nn.Module, *data: dict[str, Any], **inputs: Any) -> Subject:
    """The call ``model(**inputs)`` with data to calibrate on: the call's own unless given."""
    return replace(subject(model, **inputs), calibration=tuple(Inputs(kwargs=item) for item in data or (inputs,)))


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
    traced: Backend, make: Any, inputs: Any, tmp_path: Path
) -> None:
    model = make()
    before = state(model)
    asked = calibrated(model, **inputs)
    built = build(traced, asked, tmp_path)
    with torch.no_grad():
        assert_alike(built.forward(**inputs), asked.expected, traced.precision)
    assert built.facts["module"] == "RecursiveScriptModule"
    assert built.threads == torch.get_num_threads()
    assert built.generate is None
    assert_same_state(before, state(model))


def test_the_layers_are_the_extensions_own(backend: Backend, tmp_path: Path) -> None:
    built = build(backend, subject(models.mlp(), x=X), tmp_path)
    assert built.facts["ipex_layers"] == 2


def test_another_shape_is_not_accepted(traced: Backend, tmp_path: Path) -> None:
    built = build(traced, calibrated(models.mlp(), x=X), tmp_path)
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


@pytest.mark.parametrize("int8", [IPEX_INT8, IPEX_INT8_DYNAMIC], ids=lambda backend: backend.name)
def test_int8_counts_what_runs_so_and_refuses_a_model_without(int8: Backend, tmp_path: Path) -> None:
    assert build(int8, calibrated(models.mlp(), x=X), tmp_path).facts["int8_operators"] == 2
    with pytest.raises(BuildError, match="nothing in LayerNorm runs in int8"):
        build(int8, calibrated(torch.nn.LayerNorm(16).eval(), input=X), tmp_path)
    with pytest.raises(BuildError, match=r"has no generate\(\)"):
        build(int8, replace(calibrated(models.gpt2(), **models.tokens()), generates=True), tmp_path)


def test_static_int8_is_calibrated_on_the_data_given(tmp_path: Path) -> None:
    def error(*data: dict[str, Any]) -> float:
        asked = calibrated(models.mlp(), *data, x=X)
        return float((build(IPEX_INT8, asked, tmp_path).forward(x=X) - asked.expected).abs().max())

    assert error({"x": X / 10}) > 10 * error({"x": X})
    assert error({"x": X[:1]}, {"x": X[1:]}) < 2 * error({"x": X}), "items of any shape, all used"


def test_calibration_data_of_another_call_is_refused(tmp_path: Path) -> None:
    scaled = {"x": X, "scale": torch.ones(3, 1)}
    with pytest.raises(UsageError, match="calibration data: item 1 has x 3x16, scale 3x1"):
        build(IPEX_INT8, calibrated(models.two_heads(), {"x": X}, scaled, x=X), tmp_path)


def tiny_bigcode() -> torch.nn.Module:
    from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM

    return models.redraw(GPTBigCodeForCausalLM(GPTBigCodeConfig(120, 64, n_embd=32, n_layer=1, n_head=4)))


def test_a_language_model_gets_the_extensions_layers_and_eager_keeps_its_own(tmp_path: Path) -> None:
    model, prompt = models.llama(), models.tokens(padding=0)
    before, settings = state(model), {"max_new_tokens": 4, "do_sample": False}
    asked = subject(model, generates=True, **prompt)
    expected = model.generate(**prompt, **settings)
    built = build(IPEX_LLM, asked, tmp_path)
    assert built.facts["llm_layers"]
    with torch.no_grad():
        assert_alike(built.forward(**prompt), asked.expected, Precision.FP32)
    assert built.generate is not None
    assert torch.equal(built.generate(**prompt, **settings), expected)
    assert torch.equal(model.generate(**prompt, **settings), expected)
    assert_same_state(before, state(model))


@pytest.mark.parametrize(
    ("make", "inputs", "words"),
    [
        (models.gpt2, models.tokens(), "no layers for GPT2LMHeadModel"),
        (tiny_bigcode, models.tokens(), "own GPTBigCodeForCausalLM misreads padding"),
        (models.mlp, {"x": X}, "Mlp is no transformers model"),
    ],
    ids=["gpt2", "gpt_bigcode", "mlp"],
)
def test_what_is_no_language_model_of_theirs_is_refused(make: Any, inputs: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=words):
        build(IPEX_LLM, subject(make(), **inputs), tmp_path)


def test_compiled_by_the_extension_it_answers_as_eager_does(tmp_path: Path) -> None:
    asked = subject(models.mlp(), x=X)
    built = build(IPEX_COMPILE, asked, tmp_path)
    with torch.no_grad():
        assert_alike(built.forward(x=X), asked.expected, Precision.FP32)
    assert built.threads == 1
    assert built.facts == {"graphs": 1}
