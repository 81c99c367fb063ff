"""ONNX Runtime, in float32 and in dynamic int8."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from pytest_cpuaccel.build.backends.ort import ORT, ORT_INT8
from pytest_cpuaccel.core.errors import BackendUnavailable, BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from tests import models
from tests.exports import FEW, ExportingBackend, X, outputs
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

    def test_says_how_many_operators_run_in_int8(self, tmp_path: Path) -> None:
        built = build(ORT_INT8, subject(models.mlp(), x=X), tmp_path)
        assert built.facts["int8_operators"] == 2

    def test_refuses_a_model_without_anything_to_quantise(self, tmp_path: Path) -> None:
        with pytest.raises(BuildError, match="nothing to quantise"):
            build(ORT_INT8, subject(nn.Tanh(), input=X), tmp_path)
