"""ONNX Runtime: in float32, optimised offline, in dynamic and in static int8."""

from __future__ import annotations

import functools
import importlib.util
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends import ort_levels
from pytest_cpuaccel.backends.ort import ORT, ORT_INT8, ORT_INT8_STATIC, ORT_O1, ORT_O2, ORT_O3, ORT_O4
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError, UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from tests import models
from tests.exports import (
    CASES,
    FEW,
    ExportingBackend,
    X,
    assert_encoder_decoder_generates,
    built_or_skipped,
)
from tests.promises import assert_alike, assert_parity, build
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


@needs_onnxscript
@pytest.mark.parametrize("backend", [ORT_INT8, ORT_INT8_STATIC], ids=lambda backend: backend.name)
def test_modules_named_to_stay_in_fp32_are_not_quantised(backend: Backend, tmp_path: Path) -> None:
    asked = replace(subject(models.mlp(), x=X), keep_fp32=("layers.2",), calibration=(Inputs(kwargs={"x": X}),))
    assert build_here(backend, asked, tmp_path).facts["int8_operators"] == 1
    assert products_of(tmp_path) == {True: 1, False: 1}
    with pytest.raises(BuildError, match=r"nothing to quantise.* keep_fp32"):
        build_here(backend, replace(asked, keep_fp32=("layers.0", "layers.2")), tmp_path / "all")


def products_of(folder: Path) -> dict[bool, int]:
    """How many matrix products of the artifact run in integers, and how many in fp32."""
    import onnx

    nodes = onnx.load(folder / "model.onnx").graph.node
    made_by = {name: node.op_type for node in nodes for name in node.output}
    products = [node for node in nodes if node.op_type in ("MatMul", "Gemm", "MatMulInteger")]
    in_int8 = [made_by.get(node.input[1]) == "DequantizeLinear" or "Integer" in node.op_type for node in products]
    return dict(Counter(in_int8))


def build_here(backend: Backend, asked: Subject, folder: Path) -> BuiltModel:
    """Build, or skip where a package is missing."""
    reason = unmet_requirement(backend)
    if reason:
        pytest.skip(reason)
    return built_or_skipped(backend, asked, folder)


TEXTS = [Inputs(kwargs=models.tokens(2, length)) for length in range(6, 14)]


def test_static_int8_stays_near_eager_on_texts_that_it_was_not_calibrated_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    model = models.bert_classifier()
    capfd.readouterr()
    built = build_here(ORT_INT8_STATIC, subject(model, calibration=TEXTS, **models.tokens()), tmp_path)
    assert capfd.readouterr() == ("", "")
    for given in (models.tokens(3, 9), models.tokens(1, 12)):
        assert built.accepts(Inputs(kwargs=given))
        assert_parity(built.forward(**given), model, Inputs(kwargs=given), Precision.INT8)
    assert built.facts["int8_operators"] >= 12


@needs_optimum
def test_a_static_int8_decoder_generates_with_its_cache(tmp_path: Path) -> None:
    prompt = models.tokens(padding=0)
    asked = subject(models.gpt2(), generates=True, calibration=TEXTS, **prompt)
    built = build_here(ORT_INT8_STATIC, asked, tmp_path)
    assert built.generate is not None
    expected = models.gpt2().generate(**prompt, max_new_tokens=4, do_sample=False)
    assert (built.generate(**prompt, max_new_tokens=4, do_sample=False) == expected).float().mean() > 0.9
    assert built.facts["int8_operators"] > 8


def test_data_that_do_not_fit_the_call_are_a_mistake_of_the_user(tmp_path: Path) -> None:
    asked = subject(models.mlp(), calibration=[Inputs(kwargs={"x": X}), Inputs(kwargs={"x": X[:, :5]})], x=X)
    with pytest.raises(UsageError, match="item 1 has x 3x5, which does not fit the test's call, x 3x16"):
        build_here(ORT_INT8_STATIC, asked, tmp_path)


@needs_onnxscript
def test_static_int8_refuses_a_model_without_anything_to_quantise(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="nothing to quantise"):
        build(ORT_INT8_STATIC, subject(nn.Tanh(), input=X), tmp_path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[nn.Module, Subject, Path]]:
    """A case as ``ort`` exports it, once for all levels."""

    @functools.cache
    def export(case: str) -> tuple[nn.Module, Subject, Path]:
        if case != "cnn":
            pytest.importorskip("transformers")
        model, folder = CASES[case].model(), tmp_path_factory.mktemp(case)
        asked = subject(model, **CASES[case].inputs)
        build_here(ORT, asked, folder)
        return model, asked, folder

    return export


@pytest.mark.parametrize("backend", [ORT_O1, ORT_O2, ORT_O3, ORT_O4], ids=lambda backend: backend.name)
@pytest.mark.parametrize("case", ["bert_classifier", "gpt2", "cnn"])
def test_an_optimised_graph_answers_as_eager_does_in_its_precision(
    backend: Backend, case: str, exported: Any, tmp_path: Path
) -> None:
    model, asked, folder = exported(case)
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    backend.run_export(asked, tmp_path)
    built = backend.load(asked, tmp_path)
    for given in (CASES[case].inputs, *CASES[case].others):
        assert_parity(built.forward(**given), model, Inputs(kwargs=given), backend.precision)
    if backend in (ORT_O2, ORT_O3):  # the least may find nothing here, and float16 has casts of its own
        assert built.facts["nodes"] < built.facts["nodes_before"]
    assert ("float16_weights" in built.facts) == (backend is ORT_O4)


def test_a_graph_that_the_optimizer_breaks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optimised = ort_levels._optimised

    def broken(level: Any, file: Path, config: Any) -> Any:
        found = optimised(level, file, config)
        weight = max(found.model.graph.initializer, key=lambda item: len(item.raw_data))
        weight.raw_data = bytes(len(weight.raw_data))
        return found

    monkeypatch.setattr(ort_levels, "_optimised", broken)
    with pytest.raises(
        BuildError,
        match=r"ONNX Runtime's optimizer at O2 breaks this model: against the graph before it, .* 26 dB wanted",
    ):
        build_here(ORT_O2, subject(models.mlp(), x=X), tmp_path)


def test_a_model_whose_float16_form_kills_the_runtime_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ort_levels, "_OPEN", "import os; os.abort()")
    with pytest.raises(BuildError, match="ONNX Runtime dies of SIGABRT when it opens this model in float16"):
        build_here(ORT_O4, subject(models.mlp(), x=X), tmp_path)


def test_o3_approximates_gelu_and_o2_does_not(tmp_path: Path) -> None:
    asked = subject(models.mlp(), x=X)
    for backend, lowest, highest in ((ORT_O2, 0, 1e-6), (ORT_O3, 1e-5, 1e-3)):
        answer = build_here(backend, asked, tmp_path / backend.name).forward(x=X)
        assert lowest <= (answer - asked.expected).abs().max() <= highest


@needs_optimum
def test_o2_is_optimums_own_where_it_takes_the_model(tmp_path: Path) -> None:
    built = build_here(ORT_O2, subject(models.bert_classifier(), **models.tokens()), tmp_path)
    assert built.facts["optimizer"] == "optimum ORTOptimizer O2"
    assert built.facts["fused_operators"] > 0


@needs_optimum
def test_goes_through_optimum_where_it_has_a_class(tmp_path: Path) -> None:
    built = build(ORT, subject(models.bert_classifier(), **models.tokens()), tmp_path)
    assert built.facts["route"] == "optimum ORTModelForSequenceClassification"


def test_an_encoder_decoder_generates_with_and_without_optimum(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    assert_encoder_decoder_generates(ORT, tmp_path)


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


@needs_onnxscript
def test_bfloat16_among_inputs_or_outputs_is_refused(tmp_path: Path) -> None:
    class Cast(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.float() * 2 if x.dtype is torch.bfloat16 else (x * 2).bfloat16()

    for number, (kind, dtype) in enumerate({"input": torch.bfloat16, "output": torch.float32}.items()):
        with pytest.raises(BuildError, match=f"an {kind} is bfloat16, of which ONNX Runtime makes no array"):
            build(ORT, subject(Cast(), x=torch.ones(2, 3, dtype=dtype)), tmp_path / str(number))
