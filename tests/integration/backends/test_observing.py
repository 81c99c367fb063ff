"""What each module returned, observed while a runtime runs the artifact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends.openvino import OPENVINO
from pytest_cpuaccel.backends.ort import ORT
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.backends.toolkit import module_map
from pytest_cpuaccel.backends.toolkit.export_metadata import Route
from pytest_cpuaccel.builder.artifact import file_digests
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, Subject
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.observed_run import ObservedRun
from tests import models
from tests.subjects import subject

X = torch.linspace(-1, 1, 48).reshape(3, 16)
IMAGE = torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)


@pytest.fixture(params=[ORT, OPENVINO], ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param is ORT:
        pytest.importorskip("onnxscript")
    reason = unmet_requirement(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


def exported(backend: Backend, asked: Subject, folder: Path) -> None:
    assert backend.export is not None
    backend.export(asked, folder)
    if Route.read(folder).optimum:
        pytest.skip("Optimum exports this model")


def observed(backend: Backend, asked: Subject, folder: Path) -> ObservedRun:
    assert backend.observe is not None
    return backend.observe(asked, folder, asked.inputs)


def in_eager(asked: Subject) -> dict[str, Any]:
    """What each module with parameters of its own returns."""
    module, returned = asked.fresh_module(), {}
    for path, part in module.named_modules():
        if path and next(part.parameters(recurse=False), None) is not None:
            part.register_forward_hook(lambda _part, _given, out, path=path: returned.update({path: tree.clone(out)}))
    with torch.no_grad():
        module(*asked.inputs.args, **asked.inputs.kwargs)
    return returned


def bert() -> Subject:
    pytest.importorskip("transformers")
    return subject(models.bert_classifier(), **models.tokens(2, 7))


CASES: dict[str, Callable[[], Subject]] = {
    "mlp": lambda: subject(models.mlp(), x=X),
    "a dict of outputs": lambda: subject(models.two_heads(), x=X),
    "bert": bert,
}


@pytest.mark.parametrize("case", CASES)
def test_every_leaf_with_parameters_is_observed_as_eager_has_it(backend: Backend, case: str, tmp_path: Path) -> None:
    asked = CASES[case]()
    exported(backend, asked, tmp_path)
    before = file_digests(tmp_path)
    found = observed(backend, asked, tmp_path)
    expected = in_eager(asked)
    assert expected.keys() <= found.outputs.keys()
    for path, output in expected.items():
        torch.testing.assert_close(found.outputs[path], output, rtol=1e-4, atol=1e-5, msg=lambda m, p=path: f"{p}: {m}")
    torch.testing.assert_close(
        list(tree.tensors(found.output)), list(tree.tensors(asked.expected)), rtol=1e-4, atol=1e-5
    )
    assert file_digests(tmp_path) == before


def test_a_convolution_folded_into_its_normalisation_is_left_out(backend: Backend, tmp_path: Path) -> None:
    asked = subject(models.cnn(), input=IMAGE)
    exported(backend, asked, tmp_path)
    found, expected = observed(backend, asked, tmp_path), in_eager(asked)
    for path in ("1", "4"):
        torch.testing.assert_close(found.outputs[path], expected[path], rtol=1e-4, atol=1e-5)
    assert "0" not in found.outputs


def test_a_fault_shows_from_its_layer_on(backend: Backend, tmp_path: Path) -> None:
    faulty = models.mlp()
    good = subject(faulty, x=X)
    with torch.no_grad():
        faulty.layers[2].weight[0, 0] += 1
    exported(backend, subject(faulty, x=X), tmp_path)
    with torch.no_grad():
        faulty.layers[2].weight[0, 0] -= 1
    found, expected = observed(backend, good, tmp_path), in_eager(good)
    torch.testing.assert_close(found.outputs["layers.0"], expected["layers.0"], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found.outputs["layers.2"], expected["layers.2"], rtol=1e-2)


class Twice(nn.Module):
    """One layer, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)
        self.head = nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(self.layer(x).relu()))


def test_each_call_of_a_module_is_observed(backend: Backend, tmp_path: Path) -> None:
    asked = subject(Twice(), x=X)
    exported(backend, asked, tmp_path)
    found = observed(backend, asked, tmp_path)
    assert list(found.outputs) == ["layer", "layer#2", "head"]
    first = asked.fresh_module().layer(X)
    torch.testing.assert_close(found.outputs["layer"], first, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found.outputs["layer#2"], first, rtol=1e-2)


class Recurrent(nn.Module):
    """A module with three outputs, of which one is used."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, 16)
        self.head = nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0])


def test_outputs_that_nothing_takes_are_none(backend: Backend, tmp_path: Path) -> None:
    asked = subject(Recurrent(), x=X)
    exported(backend, asked, tmp_path)
    found, expected = observed(backend, asked, tmp_path).outputs["lstm"], in_eager(asked)["lstm"]
    torch.testing.assert_close(found[0], expected[0], rtol=1e-4, atol=1e-5)
    assert found[1] == (None, None)


def test_an_artifact_without_a_map_is_refused(backend: Backend, tmp_path: Path) -> None:
    asked = subject(models.mlp(), x=X)
    exported(backend, asked, tmp_path)
    (tmp_path / module_map.FILE).unlink()
    with pytest.raises(BuildError, match="has no map of its modules"):
        observed(backend, asked, tmp_path)


def test_modules_in_a_file_of_optimum_are_observed(tmp_path: Path) -> None:
    pytest.importorskip("optimum.onnxruntime")
    asked = bert()
    assert ORT.export is not None
    ORT.export(asked, tmp_path)
    if not Route.read(tmp_path).optimum:
        pytest.skip("Optimum doesn't take this release's model")
    found, expected = observed(ORT, asked, tmp_path), in_eager(asked)
    assert {"bert.embeddings.LayerNorm", "bert.encoder.layer.0.attention.self.query", "classifier"} <= set(
        found.outputs
    )
    for path in expected.keys() & found.outputs.keys():
        torch.testing.assert_close(found.outputs[path], expected[path], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.output.logits, asked.expected.logits, rtol=1e-4, atol=1e-5)
