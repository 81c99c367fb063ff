"""OpenVINO, in float32, in bfloat16 and with int8 weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from torch import nn

from pytest_cpuaccel.build.backends.openvino import OPENVINO, OPENVINO_BF16, OPENVINO_INT8
from pytest_cpuaccel.core.errors import BuildError
from tests import models
from tests.exports import FEW, ExportingBackend, X, assert_encoder_decoder_generates
from tests.promises import build
from tests.subjects import subject

pytestmark = pytest.mark.filterwarnings("error")

needs_optimum = pytest.mark.skipif(
    importlib.util.find_spec("optimum") is None, reason="Optimum for OpenVINO is not installed"
)


class TestOpenvino(ExportingBackend):
    backend = OPENVINO

    def test_reads_its_precision_back(self, tmp_path: Path) -> None:
        assert build(OPENVINO, subject(models.mlp(), x=X), tmp_path).facts["precision"] == "f32"

    @needs_optimum
    def test_goes_through_optimum_where_it_has_a_class(self, tmp_path: Path) -> None:
        built = build(OPENVINO, subject(models.bert_classifier(), **models.tokens()), tmp_path)
        assert built.facts["route"] == "optimum OVModelForSequenceClassification"
        assert built.facts["precision"] == "f32"

    @needs_optimum
    def test_an_encoder_decoder_generates_through_optimum(self, tmp_path: Path) -> None:
        assert_encoder_decoder_generates(OPENVINO, tmp_path)


class TestOpenvinoBf16(ExportingBackend):
    backend = OPENVINO_BF16
    cases = FEW
    generators = (models.gpt2,)

    def test_differs_from_float32(self, tmp_path: Path) -> None:
        asked = subject(models.mlp(), x=X)
        built = build(OPENVINO_BF16, asked, tmp_path)
        assert built.facts["precision"] == "bf16"
        assert (built.forward(x=X) - asked.expected).abs().max() > 1e-4


class TestOpenvinoInt8(ExportingBackend):
    backend = OPENVINO_INT8
    cases = FEW
    generators = (models.gpt2,)

    def test_says_how_many_weights_are_int8(self, tmp_path: Path) -> None:
        built = build(OPENVINO_INT8, subject(models.mlp(), x=X), tmp_path)
        assert built.facts["int8_weights"] == 2
        assert built.facts["precision"] == "f32"

    def test_refuses_a_model_without_weights(self, tmp_path: Path) -> None:
        with pytest.raises(BuildError, match="nothing to compress"):
            build(OPENVINO_INT8, subject(nn.Tanh(), input=X), tmp_path)
