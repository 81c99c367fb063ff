"""``torchscript`` and ``ipex`` give what transformers' Trainer gives under the flags they are named after."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_cpuaccel.backends.ipex import IPEX
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.backends.torchscript import TORCHSCRIPT
from pytest_cpuaccel.core.backend import Backend
from tests import models
from tests.promises import build
from tests.subjects import subject

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate", reason="Trainer needs accelerate")
VERSION = tuple(int(part) for part in transformers.__version__.split(".")[:2])
pytestmark = pytest.mark.skipif(VERSION >= (4, 53), reason="Trainer ignores use_ipex from transformers 4.53 on")

BATCH, LENGTH = 2, 10


@pytest.mark.parametrize(
    ("backend", "flags"),
    [(TORCHSCRIPT, {}), (IPEX, {"use_ipex": True})],
    ids=["jit_mode_eval", "use_ipex and jit_mode_eval"],
)
def test_outputs_equal_those_of_trainer_predict(
    backend: Backend, flags: dict[str, bool], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if reason := unmet_requirement(backend):
        pytest.skip(reason)
    model, inputs = models.bert_classifier(), models.tokens(BATCH, LENGTH)
    built = build(backend, subject(model, **inputs), tmp_path / "artifact")
    with torch.no_grad():
        actual = built.forward(**inputs)

    expected, ran = predict(model, inputs, tmp_path, caplog, **flags)

    assert ran == "RecursiveScriptModule"
    np.testing.assert_array_equal(actual.logits.numpy(), expected)


def predict(
    model: Any, inputs: dict[str, torch.Tensor], folder: Path, caplog: pytest.LogCaptureFixture, **flags: bool
) -> tuple[np.ndarray, str]:
    """Logits of ``Trainer.predict`` under ``jit_mode_eval``, and the class of the module that it ran."""
    settings = transformers.TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        per_device_eval_batch_size=BATCH,
        jit_mode_eval=True,
        **flags,
    )
    trainer = transformers.Trainer(model=model, args=settings)
    ran = []
    plain_step = trainer.prediction_step

    def step(module: Any, *args: Any, **kwargs: Any) -> Any:
        ran.append(type(module).__name__)
        return plain_step(module, *args, **kwargs)

    trainer.prediction_step = step
    rows = [{name: tensor[row] for name, tensor in inputs.items()} for row in range(BATCH)]
    with caplog.at_level(logging.WARNING, "transformers"):
        predictions = trainer.predict(rows).predictions
    assert "failed to use PyTorch jit mode" not in caplog.text
    return predictions, ran[0]
