"""What a backend says of a model that it can't take, and models that it takes though one layer of them is all."""

from __future__ import annotations

import json

import pytest
from torch import nn

from pytest_cpuaccel.backends.openvino import without_rule
from pytest_cpuaccel.backends.registry import BUILTIN
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.backends.toolkit.linears import no_linear

NAMES = {backend.name: backend for backend in BUILTIN}

CONFTEST = """
import pytest, torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

class Branch(Net):
    def forward(self, x):
        if x.sum() > 0:
            return self.layer(x)
        return -self.layer(x)

class Eigenvalues(Net):
    def forward(self, x):
        return torch.linalg.eigvals(self.layer(x)).abs()

class Reads(Net):
    def forward(self, x):
        return nn.functional.linear(x, self.layer.weight)

def encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 2)
"""


def lines_of(pytester: pytest.Pytester, backend: str, model: str, shape: str = "(8, 8)") -> list[str]:
    """Return why a test of a model under a backend fails; nothing if it passes."""
    reason = unmet_requirement(NAMES[backend])
    if reason:
        pytest.skip(reason)
    body = f"""
    @pytest.mark.parity
    def test_it(cpu_accelerate):
        torch.manual_seed(0)
        cpu_accelerate({model}.eval())(torch.randn{shape})
    """
    pytester.makepyfile(test_it=f"{CONFTEST}\n" + "\n".join(line[4:] for line in body.splitlines()))
    pytester.runpytest_subprocess(f"--cpu-backends={backend}", "--cpu-report=r.json")
    (row,) = json.loads((pytester.path / "r.json").read_text())["results"]
    if "ending" in row:
        return [row["ending"]["reason"]]
    return [] if row["parity"]["verdict"] == "PASS" else [row["parity"]["sentence"]]


@pytest.mark.parametrize("backend", ["torch-int8", "torchao-int8", "inc-int8-dynamic", "ipex-int8-dynamic"])
def test_a_model_that_is_one_linear_layer_is_quantised(pytester: pytest.Pytester, backend: str) -> None:
    assert lines_of(pytester, backend, "nn.Linear(64, 64)", "(8, 64)") == []


@pytest.mark.parametrize("backend", ["torch-int8", "inc-int8-dynamic", "ipex-int8-dynamic"])
@pytest.mark.parametrize("model", [pytest.param("encoder()", marks=pytest.mark.thorough), "encoder().layers[0]"])
def test_an_encoder_runs_with_quantised_layers(pytester: pytest.Pytester, backend: str, model: str) -> None:
    assert lines_of(pytester, backend, model, "(2, 5, 8)") == []


@pytest.mark.parametrize("backend", ["torch-int8", "ipex-int8-dynamic"])
def test_code_that_reads_a_packed_weight_is_told_so_with_its_line(pytester: pytest.Pytester, backend: str) -> None:
    (line,) = lines_of(pytester, backend, "Reads()")
    sentence = "code of Reads reads the weight of a linear layer, which a quantised layer keeps packed (at test_it.py:"
    assert f"{backend}: {sentence}" in line


def test_a_model_with_nothing_to_quantise_is_told_why(pytester: pytest.Pytester) -> None:
    (line,) = lines_of(pytester, "torch-int8", "nn.Conv2d(3, 3, 3)", "(1, 3, 8, 8)")
    assert line.endswith("torch-int8: Conv2d has no nn.Linear to quantise")


def test_layers_of_a_class_of_their_own_are_no_linear_layers_to_quantise() -> None:
    refusal = str(no_linear(nn.MultiheadAttention(8, 2)))
    assert refusal.endswith("to quantise: NonDynamicallyQuantizableLinear is a class of its own")
    assert str(no_linear(nn.Linear(4, 4))) == "each nn.Linear of Linear is left in fp32, as those of few inputs are"


@pytest.mark.parametrize("backend", ["ort", "openvino"])
def test_an_operator_that_a_runtime_lacks_is_named(pytester: pytest.Pytester, backend: str) -> None:
    (line,) = lines_of(pytester, backend, "Eigenvalues()")
    assert line.endswith(" has no operator for aten.linalg_eig")
    assert not any(word in line for word in ("\x1b", "http", "step ", "num_users"))


@pytest.mark.parametrize("backend", ["ort", "openvino", "aoti"])
def test_a_branch_on_a_value_is_told_with_its_line(pytester: pytest.Pytester, backend: str) -> None:
    (line,) = lines_of(pytester, backend, "Branch()")
    assert f"{backend}: torch.export can't take Branch: the model's Python code needs the value of a tensor" in line
    assert line.endswith("(at test_it.py:11)")


@pytest.mark.parametrize(
    ("summary", "sentence"),
    [
        (
            "\n-- No conversion rule found for operations: aten.a.default, aten.b.x\n",
            "it has no operator for aten.a, aten.b",
        ),
        (
            "-- No conversion rule found for operations: aten.a.x\n-- Conversion is failed for: y",
            "it has no operator for aten.a",
        ),
        ("-- No conversion rule found for operations: <function sym_min at 0x7f>", "it has no operator for sym_min"),
        ("-- Conversion is failed for: ComplexTypeMark", "it has no complex numbers among inputs and outputs"),
        ("-- Conversion is failed for: aten.x.default", "it can't convert aten.x.default"),
        ("something new", "something new"),
    ],
)
def test_openvinos_summary_is_one_sentence(summary: str, sentence: str) -> None:
    assert without_rule(summary) == sentence
