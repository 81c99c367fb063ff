"""ONNX Runtime, in float32 and in dynamic int8."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from pytest_cpuaccel.build.backends.ort import ORT, ORT_INT8
from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError
from pytest_cpuaccel.core.precision import Precision
from tests import models
from tests.exports import FEW, ExportingBackend, X, assert_encoder_decoder_generates, t5_inputs, tiny_t5
from tests.promises import assert_alike, build
from tests.subjects import subject

pytestmark = pytest.mark.filterwarnings("error")


def installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


OPTIMUM = installed("optimum.onnxruntime")
needs_optimum = pytest.mark.skipif(not OPTIMUM, reason="Optimum for ONNX Runtime is not installed")
needs_onnxscript = pytest.mark.skipif(not installed("onnxscript"), reason="onnxscript is not installed")


class TestOrt(ExportingBackend):
    backend = ORT


class TestOrtInt8(ExportingBackend):
    backend = ORT_INT8
    cases = FEW
    generators = (models.gpt2,)

    @needs_onnxscript
    def test_says_how_many_operators_run_in_int8(self, tmp_path: Path) -> None:
        built = build(ORT_INT8, subject(models.mlp(), x=X), tmp_path)
        assert built.facts["int8_operators"] == 2

    @needs_onnxscript
    def test_refuses_a_model_without_anything_to_quantise(self, tmp_path: Path) -> None:
        with pytest.raises(BuildError, match="nothing to quantise"):
            build(ORT_INT8, subject(nn.Tanh(), input=X), tmp_path)


@needs_optimum
def test_goes_through_optimum_where_it_has_a_class(tmp_path: Path) -> None:
    built = build(ORT, subject(models.bert_classifier(), **models.tokens()), tmp_path)
    assert built.facts["route"] == "optimum ORTModelForSequenceClassification"


@needs_optimum
def test_an_encoder_decoder_generates_through_optimum(tmp_path: Path) -> None:
    assert_encoder_decoder_generates(ORT, tmp_path)


@pytest.mark.skipif(OPTIMUM, reason="Optimum is installed")
def test_an_encoder_decoder_does_not_generate_without_optimum(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(BuildError, match=r"T5ForConditionalGeneration: generate\(\) .* needs Optimum"):
        build(ORT, subject(tiny_t5(), generates=True, **t5_inputs()), tmp_path)


@needs_onnxscript
def test_a_layer_that_save_pretrained_would_lose_is_exported_too(tmp_path: Path) -> None:
    model = models.bert_classifier()
    model.classifier = models.redraw(nn.Sequential(nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 3)), seed=1)
    asked = subject(model, **models.tokens())
    built = build(ORT, asked, tmp_path)
    assert built.facts["route"] == "torch.export"
    assert_alike(built.forward(**models.tokens()), asked.expected, Precision.FP32)


@needs_onnxscript
def test_hidden_states_come_out_under_eagers_names(tmp_path: Path) -> None:
    inputs = {**models.tokens(), "output_hidden_states": True}
    asked = subject(models.bert_classifier(), **inputs)
    built = build(ORT, asked, tmp_path)
    assert_alike(built.forward(**inputs), asked.expected, Precision.FP32)
    assert len(built.forward(**inputs).hidden_states) == 3


@needs_onnxscript
def test_an_input_without_effect_is_accepted(tmp_path: Path) -> None:
    class First(nn.Module):
        def forward(self, x: torch.Tensor, unused: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
            return x * 2

    asked = subject(First(), x=X, unused=X[:2])
    built = build(ORT, asked, tmp_path)
    assert_alike(built.forward(x=X, unused=X[:2]), asked.expected, Precision.FP32)


@needs_onnxscript
def test_a_size_that_the_code_branches_on_is_refused(tmp_path: Path) -> None:
    class Wide(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if x.shape[0] > 4 else x * 3

    model = Wide()
    built = build(ORT, subject(model, x=X), tmp_path)
    assert built.accepts(subject(model, x=X[:2]).inputs)
    assert not built.accepts(subject(model, x=torch.cat([X, X])).inputs)


@pytest.mark.skipif(installed("onnxscript"), reason="onnxscript is installed")
def test_without_onnxscript_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailableError, match="pip install onnxscript"):
        build(ORT, subject(models.mlp(), x=X), tmp_path)
