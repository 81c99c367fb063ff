"""Intel Neural Compressor, dynamic and static."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends.inc import INC_INT8_DYNAMIC, INC_INT8_STATIC
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from tests import models
from tests.exports import X
from tests.promises import assert_alike, assert_parity, assert_same_state, build, state
from tests.subjects import subject

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.skipif(
        unmet_requirement(INC_INT8_DYNAMIC) is not None, reason=str(unmet_requirement(INC_INT8_DYNAMIC))
    ),
]

BACKENDS = pytest.mark.parametrize("backend", [INC_INT8_DYNAMIC, INC_INT8_STATIC], ids=lambda backend: backend.name)
TEXTS = [Inputs(kwargs=models.tokens(2, length)) for length in range(6, 14)]


@BACKENDS
@pytest.mark.parametrize(
    ("make", "inputs"),
    [(models.bert_classifier, models.tokens()), (models.vit, models.digits()), (models.mlp, {"x": X})],
    ids=["bert_classifier", "vit", "mlp"],
)
def test_layers_are_int8_and_the_answer_is_near_eagers(
    backend: Backend, make: Any, inputs: Any, tmp_path: Path
) -> None:
    model = make()
    before = state(model)
    asked = subject(model, **inputs)
    built = build(backend, asked, tmp_path)
    with torch.no_grad():
        answer = built.forward(**inputs)
    assert_alike(answer, asked.expected, Precision.INT8)
    assert_parity(answer, model, asked.inputs, Precision.INT8)
    assert built.facts["int8_layers"] >= 2
    assert_same_state(before, state(model))


def test_static_ranges_from_data_hold_for_other_texts(tmp_path: Path) -> None:
    model, inputs = models.bert_classifier(), models.tokens(3, 9)
    asked = subject(model, calibration=TEXTS, **inputs)
    built = build(INC_INT8_STATIC, asked, tmp_path)
    with torch.no_grad():
        assert_parity(built.forward(**inputs), model, asked.inputs, Precision.INT8)


def test_a_dynamic_model_generates(tmp_path: Path) -> None:
    prompt = models.tokens(padding=0)
    built = build(INC_INT8_DYNAMIC, subject(models.llama(), generates=True, **prompt), tmp_path)
    assert built.generate is not None
    tokens = built.generate(**prompt, max_new_tokens=4, do_sample=False)
    assert tokens[:, :10].tolist() == prompt["input_ids"].tolist()


@BACKENDS
def test_refuses_a_model_without_anything_to_quantise(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(BuildError):
        build(backend, subject(nn.Tanh(), input=X), tmp_path)


@BACKENDS
def test_leaves_the_folder_the_screen_and_the_random_numbers_alone(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = subject(models.mlp(), x=X)
    pythons, torchs = random.getstate(), torch.get_rng_state()
    build(backend, asked, tmp_path)
    assert random.getstate() == pythons
    assert torch.equal(torch.get_rng_state(), torchs)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_does_not_import_ipex_which_would_change_eager() -> None:
    code = (
        "import sys; from pathlib import Path; from tests import models, subjects; import torch\n"
        "from pytest_cpuaccel.backends.inc import INC_INT8_STATIC\n"
        "x = torch.ones(2, 16); from pytest_cpuaccel.core.inputs import Inputs\n"
        "asked = subjects.subject(models.mlp(), calibration=[Inputs((x,))], x=x)\n"
        "INC_INT8_STATIC.load(asked, None)\n"
        "assert 'intel_extension_for_pytorch' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
