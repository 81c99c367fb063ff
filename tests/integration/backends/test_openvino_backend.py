"""OpenVINO: in float32, in bfloat16, with int8 weights, and with int8 activations too."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends.openvino import OPENVINO, OPENVINO_BF16, OPENVINO_INT8, OPENVINO_INT8_PTQ
from pytest_cpuaccel.backends.openvino_modules import ignored_scope
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.core.errors import BuildError, UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from tests import models
from tests.exports import FEW, ExportingBackend, X, assert_encoder_decoder_generates
from tests.promises import assert_parity, build
from tests.subjects import subject

pytestmark = pytest.mark.filterwarnings("error")

TEXTS = [Inputs(kwargs=models.tokens(2, length)) for length in range(6, 14)]

needs_optimum = pytest.mark.skipif(
    importlib.util.find_spec("optimum") is None, reason="Optimum for OpenVINO is not installed"
)


class TestOpenvino(ExportingBackend):
    backend = OPENVINO

    def test_reads_its_precision_back(self, tmp_path: Path) -> None:
        assert build(OPENVINO, subject(models.mlp(), x=X), tmp_path).facts["precision"] == "f32"

    def test_bfloat16_comes_in_and_goes_out_as_it_is(self, tmp_path: Path) -> None:
        class Cast(nn.Module):
            def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                return x * 2, (x.float() * 2).bfloat16()

        given = torch.tensor([[1.0, -2.5, 0.375]], dtype=torch.bfloat16)
        for found in build(OPENVINO, subject(Cast(), x=given), tmp_path).forward(x=given):
            assert torch.equal(found, given * 2)

    def test_sends_no_telemetry(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("openvino")
        telemetry = pytest.importorskip("openvino_telemetry")
        sent: list[object] = []
        monkeypatch.setattr("openvino_telemetry.main.TelemetrySender.send", lambda *message: sent.append(message))
        monkeypatch.setattr(telemetry.Telemetry(), "consent", True)
        build(OPENVINO, subject(models.mlp(), x=X), tmp_path)
        assert not sent
        telemetry.Telemetry().send_event("category", "action", "label")
        assert sent, "the user's own is sent as before"

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


class TestOpenvinoInt8Ptq:
    @pytest.fixture(autouse=True)
    def _runnable(self) -> None:
        reason = unmet_requirement(OPENVINO_INT8_PTQ)
        if reason:
            pytest.skip(reason)

    def test_stays_near_eager_on_texts_that_it_was_not_calibrated_on(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        model = models.bert_classifier()
        capfd.readouterr()
        built = build(OPENVINO_INT8_PTQ, subject(model, calibration=TEXTS, **models.tokens()), tmp_path)
        assert capfd.readouterr() == ("", "")
        for given in (models.tokens(3, 9), models.tokens(1, 12)):
            assert built.accepts(Inputs(kwargs=given))
            assert_parity(built.forward(**given), model, Inputs(kwargs=given), Precision.INT8)
        assert built.facts["fake_quantize"] >= 12
        assert built.facts["int8_operators"] >= 12

    @needs_optimum
    def test_a_decoder_generates_with_its_cache(self, tmp_path: Path) -> None:
        prompt = models.tokens(padding=0)
        asked = subject(models.gpt2(), generates=True, calibration=TEXTS, **prompt)
        built = build(OPENVINO_INT8_PTQ, asked, tmp_path)
        assert built.generate is not None
        expected = models.gpt2().generate(**prompt, max_new_tokens=4, do_sample=False)
        assert (built.generate(**prompt, max_new_tokens=4, do_sample=False) == expected).float().mean() > 0.9
        assert built.facts["int8_operators"] > 8

    def test_modules_named_to_stay_in_fp32_are_not_quantised(self, tmp_path: Path) -> None:
        asked = replace(subject(models.mlp(), calibration=[Inputs(kwargs={"x": X})], x=X), keep_fp32=("layers.2",))
        built = build(OPENVINO_INT8_PTQ, asked, tmp_path)
        assert built.facts["int8_operators"] == 1

    def test_a_module_that_stays_in_fp32_has_weights_of_its_own(self, tmp_path: Path) -> None:
        openvino = pytest.importorskip("openvino")
        pytest.importorskip("nncf")
        from openvino import opset13

        places, shared = opset13.parameter([2], dtype=openvino.Type.i64), opset13.constant(torch.ones(4, 4).tolist())
        looked_up = opset13.gather(shared, places, opset13.constant(0))
        product = opset13.matmul(looked_up, shared, transpose_a=False, transpose_b=True)
        looked_up.set_friendly_name("__module.embedding/Gather")
        product.set_friendly_name("__module.head/MatMul")
        asked = replace(subject(nn.Tanh(), input=X), keep_fp32=("head",), keep_fp32_patterns={"head": ("head",)})
        scope = ignored_scope(openvino.Model([product], [places]), tmp_path, asked)
        assert scope.names == ["__module.head/MatMul"]
        assert len(shared.output(0).get_target_inputs()) == 1

    def test_a_convolution_folded_into_its_normalisation_goes_by_that_name(self, tmp_path: Path) -> None:
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3)).eval()
        net.get_buffer("1.running_mean").add_(1)
        asked = subject(net, input=torch.randn(1, 3, 8, 8))
        kept = replace(asked, keep_fp32=("1",), keep_fp32_patterns={"1": ("1",)})
        assert build(OPENVINO_INT8, kept, tmp_path / "a").facts["int8_weights"] == 1
        lost = replace(asked, keep_fp32=("0",), keep_fp32_patterns={"0": ("0",)})
        with pytest.raises(BuildError, match="known to come from '0' of keep_fp32"):
            build(OPENVINO_INT8, lost, tmp_path / "b")

    def test_data_that_do_not_fit_the_call_are_a_mistake_of_the_user(self, tmp_path: Path) -> None:
        asked = subject(models.mlp(), calibration=[Inputs(kwargs={"x": X[:, :5]})], x=X)
        with pytest.raises(UsageError, match="item 0 has x 3x5, which does not fit the test's call, x 3x16"):
            build(OPENVINO_INT8_PTQ, asked, tmp_path)

    def test_refuses_a_model_without_anything_to_quantise(self, tmp_path: Path) -> None:
        with pytest.raises(BuildError, match="nothing to quantise"):
            build(OPENVINO_INT8_PTQ, subject(nn.Tanh(), input=X), tmp_path)
