"""int8 by Intel Extension for PyTorch: prepared, calibrated where the ranges are static, converted, traced."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends import script_census
from pytest_cpuaccel.backends.ipex import IPEX
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.errors import BuildError, NothingToDoError
from pytest_cpuaccel.core.precision import Precision


def load(mapping: str, subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    """Return the model quantised by the extension's QConfigMapping of that name, as a frozen trace.

    Raises:
        UsageError: calibration data that does not fit the call.
        BuildError: the test generates, the model can't be traced, nothing in it was quantised, or the trace kills its
            process, as DeBERTa's does.
    """
    import torch

    from pytest_cpuaccel.backends.toolkit.calibration_run import fitting_items
    from pytest_cpuaccel.backends.toolkit.graph import Graph
    from pytest_cpuaccel.backends.toolkit.linears import weights_read_refused, without_fused_encoder_layers
    from pytest_cpuaccel.backends.toolkit.trace import Trace, frozen, values_watched
    from pytest_cpuaccel.backends.toolkit.upstream import silenced

    if subject.generates:
        raise BuildError("a trace holds one forward call and has no generate(); use ipex or ipex-bf16")
    module = subject.fresh_module()
    without_fused_encoder_layers(module)
    graph = Graph.of(module, subject.inputs, subject.expected)
    example = graph.tensors(subject.inputs)
    with silenced(), weights_read_refused(type(module).__name__), torch.no_grad():
        from intel_extension_for_pytorch import quantization

        prepared = quantization.prepare(
            graph.flatten(module).eval(), getattr(quantization, mapping), example_inputs=example, inplace=True
        )
        for item in fitting_items(subject, graph.fits):
            prepared(*graph.tensors(item))
        with values_watched() as read:
            script = frozen(quantization.convert(prepared), example)
        _check_survival(script, example)
        trace = Trace.of(script, graph, subject)
        quantised = int8_operators(torch.jit.last_executed_optimized_graph())  # type: ignore[attr-defined]
    if not quantised:
        raise NothingToDoError(f"nothing in {type(module).__name__} runs in int8: {nothing_quantised(module)}")
    return BuiltModel(
        forward=trace.forward,
        accepts=trace.accepts,
        threads=torch.get_num_threads(),
        facts={"module": type(script).__name__, "int8_operators": quantised},
        follows_example=bool(read),
    )


_RUN = """
import sys
import torch
import intel_extension_for_pytorch
torch.set_num_threads(1)
script, example = torch.jit.load(sys.argv[1]), torch.load(sys.argv[2])
with torch.no_grad():
    for _ in range(3):
        script(*[tensor.clone() for tensor in example])
"""


def _check_survival(script: Any, example: tuple[Any, ...]) -> None:
    """Run a trace in another process first, often enough for the executor to optimise it."""
    import torch

    from pytest_cpuaccel.backends.toolkit.crash_guard import check_survival

    with tempfile.TemporaryDirectory(prefix="cpuaccel-") as folder:
        files = [f"{folder}/trace.pt", f"{folder}/example.pt"]
        script.save(files[0])
        torch.save(example, files[1])
        check_survival(_RUN, *files, dies="Intel Extension for PyTorch dies of {} when it runs this model")


def nothing_quantised(module: Any) -> str:
    """Return why nothing in a model runs in int8."""
    from torch import nn

    layers = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    if any(isinstance(part, layers) for part in module.modules()):
        return "the extension left all its linear layers and convolutions in fp32"
    return "no nn.Linear or convolution to quantise"


def int8_operators(graph: Any) -> int:
    """Return how many nodes of a graph, as its executor runs it, compute in int8.

    With static ranges they are fused groups, of a linear layer or convolution with the conversions around it.
    """
    return sum(
        node.kind() == "quantized::linear_dynamic"
        or (node.kind() == "ipex::LlgaFusionGroup" and "aten::dequantize" in str(node.g("Subgraph")))
        for node in graph.nodes()
    )


IPEX_INT8 = Backend(
    name="ipex-int8",
    summary="Intel Extension for PyTorch, int8 with calibrated activations, traced and frozen",
    load=partial(load, "default_static_qconfig_mapping"),
    count_kernels=partial(script_census.count, partial(load, "default_static_qconfig_mapping")),
    precision=Precision.INT8,
    requires=IPEX.requires,
    calibrates=True,
)

IPEX_INT8_DYNAMIC = replace(
    IPEX_INT8,
    name="ipex-int8-dynamic",
    summary="Intel Extension for PyTorch, int8 linears with activations quantised call by call, traced and frozen",
    load=partial(load, "default_dynamic_qconfig_mapping"),
    count_kernels=partial(script_census.count, partial(load, "default_dynamic_qconfig_mapping")),
    calibrates=False,
)
