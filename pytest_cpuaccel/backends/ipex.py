"""Intel Extension for PyTorch, as transformers' Trainer runs it under ``--use_ipex --jit_mode_eval``.

Importing it changes eager's own results for the rest of the process, by up to 7e-6, because its operators replace some
of torch's. Eager results that must not change have to be computed before :func:`load` runs.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends import script_census
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, called_once, generate_of
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Scalar, Subject
from pytest_cpuaccel.core.errors import NothingToDoError
from pytest_cpuaccel.core.precision import Precision


def load_fp32(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    """Return the model optimised in fp32: as a frozen trace, or as a module when the test generates."""
    import torch

    if subject.generates:
        return as_module(subject, optimised(subject, torch.float32))
    return as_trace(subject, optimised(subject, torch.float32))


def load_bf16(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    """Return the same with weights in bfloat16, run under autocast; floats come out in eager's type."""
    import torch

    from pytest_cpuaccel.backends.toolkit import float_types as casting

    outside = casting.float_dtype(subject.expected)
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False)
    load = as_module if subject.generates else as_trace
    with autocast:
        built = load(subject, optimised(subject, torch.bfloat16))

    return BuiltModel(
        forward=casting.results_in(outside, autocast(built.forward)),
        generate=built.generate and casting.results_in(outside, autocast(built.generate)),
        accepts=built.accepts,
        threads=built.threads,
        facts=built.facts,
    )


def optimised(subject: Subject, dtype: Any) -> Any:
    """Return a private copy of the model after ``ipex.optimize``, with Trainer's arguments."""
    from pytest_cpuaccel.backends.toolkit import upstream

    module = subject.fresh_module()
    with upstream.contained():
        import intel_extension_for_pytorch as extension

        # Trainer switches folding off because it fails in symbolic tracing.
        return extension.optimize(module, dtype=dtype, level="O1", conv_bn_folding=False, inplace=True)


def as_trace(subject: Subject, module: Any) -> BuiltModel:
    """Return an optimised model traced and frozen, which is where most of the extension's fusions happen."""
    import torch

    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.graph import Graph
    from pytest_cpuaccel.backends.toolkit.trace import Trace, frozen_trace, values_watched

    layers = extension_layers(module)
    graph = Graph.of(module, subject.inputs, subject.expected)
    with upstream.contained():
        with values_watched() as read:
            script = frozen_trace(module, graph, subject.inputs)
        trace = Trace.of(script, graph, subject)
    return BuiltModel(
        forward=trace.forward,
        accepts=trace.accepts,
        threads=torch.get_num_threads(),
        facts={"module": type(script).__name__, "ipex_layers": layers},
        follows_example=bool(read),
    )


def as_module(subject: Subject, module: Any) -> BuiltModel:
    """Return an optimised model that keeps its Python code, which ``generate()`` needs.

    Raises:
        BuildError: not one layer was replaced, so that it would be plain PyTorch (GPT-2 has Conv1D layers).
    """
    layers = extension_layers(module)
    if not layers:
        raise NothingToDoError(f"ipex.optimize replaced no layer of {type(module).__name__}, which has to generate()")

    def facts() -> dict[str, Scalar]:
        return {"module": type(module).__name__, "ipex_layers": layers}

    return called_once(AlteredModel(module, facts, generate_of(module)), subject)


def extension_layers(module: Any) -> int:
    """Return how many layers of a model are the extension's own."""
    return sum(type(layer).__module__.startswith("intel_extension_for_pytorch.") for layer in module.modules())


ARCHIVED = "the last release, 2.8.0, works with torch 2.8 alone; the project was archived in March 2026"

IPEX = Backend(
    name="ipex",
    summary="Intel Extension for PyTorch, traced and frozen",
    load=load_fp32,
    count_kernels=partial(script_census.count, load_fp32),
    requires=(
        Requirement("intel_extension_for_pytorch", ">=2.8,<2.9", ARCHIVED),
        Requirement("torch", ">=2.8,<2.9", ARCHIVED),
    ),
)

IPEX_BF16 = Backend(
    name="ipex-bf16",
    summary="Intel Extension for PyTorch in bfloat16, traced and frozen",
    load=load_bf16,
    count_kernels=partial(script_census.count, load_bf16),
    precision=Precision.BF16,
    requires=IPEX.requires,
)
