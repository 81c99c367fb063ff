"""TorchScript: the model traced and frozen, as transformers' Trainer does under ``--jit_mode_eval``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cpuaccel.backends import script_census
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError

if TYPE_CHECKING:
    import torch

FILE = "model.pt"

VALUES = "values.txt"
"""Tensor values that the model's Python code read while it was traced; absent if it read none."""


def export(subject: Subject, folder: Path) -> None:
    """Write the frozen trace of the subject's call to ``folder``.

    Raises:
        BuildError: the model can't be traced, or the test generates: a trace has no loop.
    """
    import torch

    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.graph import Graph
    from pytest_cpuaccel.backends.toolkit.trace import frozen_trace, values_watched

    if subject.generates:
        raise BuildError("a trace holds one forward call and has no generate(); use sdpa, bf16 or inductor")
    module = subject.fresh_module()
    graph = Graph.of(module, subject.inputs, subject.expected)
    with upstream.contained():
        with values_watched() as read:
            script = frozen_trace(module, graph, subject.inputs)
        torch.jit.save(script, folder / FILE)
    if read:
        (folder / VALUES).write_text("\n".join(read))


def load(subject: Subject, folder: Path | None) -> BuiltModel:
    """Return the trace in ``folder``."""
    assert folder is not None
    return _run(subject, _script(folder), folder)


def load_optimized(subject: Subject, folder: Path | None) -> BuiltModel:
    """Return the trace in ``folder`` rewritten for inference.

    Here and not in :func:`export`, since weights in oneDNN's layout can't be saved.
    """
    import torch

    from pytest_cpuaccel.backends.toolkit import upstream

    assert folder is not None
    with upstream.contained():
        script = torch.jit.optimize_for_inference(_script(folder))
    built = _run(subject, script, folder)
    convolutions = sum(node.kind() == "prim::mkldnn_convolution" for node in script.graph.nodes())
    return replace(built, facts={**built.facts, "onednn_convolutions": convolutions})


def _script(folder: Path) -> torch.jit.ScriptModule:
    import torch

    from pytest_cpuaccel.backends.toolkit import upstream

    with upstream.contained():
        script: torch.jit.ScriptModule = torch.jit.load(folder / FILE)  # type: ignore[no-untyped-call]
    return script


def _run(subject: Subject, script: torch.jit.ScriptModule, folder: Path) -> BuiltModel:
    import torch

    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.graph import Graph
    from pytest_cpuaccel.backends.toolkit.trace import Trace

    graph = Graph.of(subject.outline(), subject.inputs, subject.expected)
    with upstream.contained():
        trace = Trace.of(script, graph, subject)
    return BuiltModel(
        forward=trace.forward,
        accepts=trace.accepts,
        threads=torch.get_num_threads(),
        facts={"module": type(script).__name__},
        follows_example=(folder / VALUES).exists(),
    )


TORCHSCRIPT = Backend(
    name="torchscript",
    summary="TorchScript, traced and frozen",
    load=load,
    count_kernels=partial(script_census.count, load),
    export=export,
    requires=(Requirement("torch", ">=2.8"),),
)

TORCHSCRIPT_OPTIMIZED = replace(
    TORCHSCRIPT,
    name="torchscript-optimized",
    summary="TorchScript, traced, frozen and optimised for inference",
    load=load_optimized,
    count_kernels=partial(script_census.count, load_optimized),
)
