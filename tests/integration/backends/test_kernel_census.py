"""What backends tell of the kernels that they ran, on real ones."""

from __future__ import annotations

import os

import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends import bf16, eager, torch_int8, torchscript
from pytest_cpuaccel.backends.inductor import compile_module
from pytest_cpuaccel.backends.inductor_census import count_compiled
from pytest_cpuaccel.backends.toolkit import fp32_precision
from pytest_cpuaccel.backends.toolkit.library_lines import library_lines
from pytest_cpuaccel.builder.process_state import process_kept
from pytest_cpuaccel.core.backend import Backend, Subject
from pytest_cpuaccel.core.kernel_census import KernelCensus
from pytest_cpuaccel.core.matrix_kernels import computed_in, matrix_kernels
from tests import models
from tests.integration.conftest import CONFTEST
from tests.integration.test_marks import marked
from tests.subjects import subject


def counted(backend: Backend, tmp_path, wanted: Subject | None = None) -> KernelCensus:
    wanted = wanted or subject(models.mlp(), x=torch.randn(2, 16))
    for exporter in backend.exporters:
        exporter.run_export(wanted, tmp_path)
    assert backend.count_kernels is not None
    return backend.count_kernels(wanted, tmp_path, "forward", wanted.inputs)


@pytest.mark.parametrize(
    ("backend", "compute", "stored"),
    [
        (eager.EAGER, "fp32", "fp32"),
        (bf16.BF16, "bf16", "bf16"),
        (torch_int8.TORCH_INT8, "int8", "int8"),
        (torchscript.TORCHSCRIPT, "fp32", "fp32"),
    ],
    ids=lambda item: getattr(item, "name", item),
)
def test_each_product_is_counted_once_in_its_precision(backend, compute, stored, tmp_path) -> None:
    found = counted(backend, tmp_path)
    assert computed_in(found.kernels) == {compute: 2}
    assert {kernel.stored for kernel in matrix_kernels(found.kernels)} == {stored}
    assert found.isa


@pytest.mark.parametrize(("name", "compute"), [("OPENVINO", "fp32"), ("OPENVINO_BF16", "bf16")])
def test_openvino_counts_each_product_in_its_precision(name, compute, tmp_path) -> None:
    pytest.importorskip("openvino")
    from pytest_cpuaccel.backends import openvino

    if compute == "bf16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this CPU computes in no bfloat16")
    found = counted(getattr(openvino, name), tmp_path)
    assert computed_in(found.kernels) == {compute: 2}
    assert not found.fallbacks


def medium() -> None:
    torch.set_float32_matmul_precision("medium")


def bf16_products() -> None:
    if not hasattr(torch.backends.mkldnn, "matmul"):
        pytest.skip("this torch has one setting for all")
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"


@pytest.mark.parametrize("allow", [medium, bf16_products])
def test_a_setting_that_computes_fp32_in_bf16_is_seen_or_leaves_the_precision_unknown(allow, tmp_path) -> None:
    model, x = nn.Linear(512, 512).eval(), torch.randn(512, 512)
    with torch.no_grad(), process_kept():
        exact = model(x)
        allow()
        coarse = model(x)
        found = counted(eager.EAGER, tmp_path, subject(model, input=x))
        assert fp32_precision.may_reduce()
    assert not fp32_precision.may_reduce()
    if torch.dist(coarse, exact) < 1e-4 * exact.norm():
        pytest.skip("this CPU computes in fp32 all the same")
    assert len(matrix_kernels(found.kernels)) == 1
    assert set(computed_in(found.kernels)) <= {"bf16", None}


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class Broken(Whole):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer(x)
        torch._dynamo.graph_break()
        x = self.layer(x)
        torch._dynamo.graph_break()
        return self.layer(x)


@pytest.mark.parametrize(("kind", "breaks"), [(Whole, 0), (Broken, 2)])
def test_a_compiled_model_tells_how_often_the_graph_broke(kind: type[nn.Module], breaks: int) -> None:
    module = kind().eval()
    wanted = subject(module, x=torch.randn(2, 16))
    compiler = compile_module(module, wanted, "eager")
    found = count_compiled(compiler, module, "forward", wanted.inputs)
    assert found.graph_breaks == breaks
    assert computed_in(found.kernels) == {"fp32": breaks + 1}


def test_what_others_print_meanwhile_is_passed_on(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    layer = nn.Linear(64, 64)
    with library_lines() as lines:
        os.write(1, b"a line of the user's\n")
        layer(torch.ones(64, 64))
        lines()
        monkeypatch.setattr(os, "write", lambda file, text: write(file, text[:5]))  # what the system may do
    monkeypatch.undo()
    os.write(1, b"and one after it\n")
    assert capfd.readouterr().out == "a line of the user's\nand one after it\n"


SLY = """from dataclasses import replace
    from pytest_cpuaccel.backends.{module} import {name}
    from pytest_cpuaccel.core.precision import Precision
    return [replace({name}, name="sly", precision=Precision.FP32)]"""


@pytest.mark.parametrize(("module", "name", "op"), [("bf16", "BF16", "addmm"), ("openvino", "OPENVINO_BF16", "Fully")])
def test_a_backend_that_claims_fp32_and_computes_in_bf16_fails_by_name(project, module, name, op) -> None:
    if module == "openvino":
        pytest.importorskip("openvino")
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this CPU computes in no bfloat16")
    project.makeconftest(CONFTEST.replace("return doubles.BACKENDS", SLY.format(module=module, name=name)))
    marked(project, "parity")
    result = project.runpytest_inprocess("--cpu-backends=sly")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*sly claims fp32 and computed * {op}* in bf16*"])
