"""The kernel census of a TorchScript trace: what the dispatcher sees of a call, and nodes that it does not see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends.torch_census import count_built
from pytest_cpuaccel.core.backend import BuiltModel, Subject
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.matrix_kernels import is_matrix_kernel

Load = Callable[[Subject, Path | None], BuiltModel]

_SOURCE = "torch's dispatcher and TorchScript's graph"


def count(load: Load, subject: Subject, folder: Path | None, method: Method, inputs: Inputs) -> KernelCensus:
    """Count what a trace of its own runs for a call; of a model that has to generate, what its Python code runs.

    Raises:
        BuildError: the model can't be loaded, or repeated calls ran different operations.
    """
    import torch

    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    built = load(subject, folder)
    try:
        seen = count_built(built, method, inputs)
        if subject.generates:
            return seen
        rehearse(built.forward, inputs)
        graph = torch.jit.last_executed_optimized_graph()  # type: ignore[attr-defined]
        return with_nodes(seen, graph)
    finally:
        built.close()


def with_nodes(seen: KernelCensus, graph: Any) -> KernelCensus:
    """Return a census with the nodes that run past the dispatcher.

    Some of these call the dispatcher in their turn, and what they run then is listed beside them. Those of a branch or
    of a loop are left out, as it isn't known how often they ran, and make the census incomplete.
    """
    known = {kernel.op for kernel in seen.kernels}
    counts = Counter(found for node in graph.nodes() if (found := _foreign(node)) and found[0] not in known)
    kernels = seen.kernels
    if counts:  # what such a node made passes for a constant
        kernels = tuple(replace(kernel, stored=None) for kernel in kernels)
    extra = [Kernel(op, number, compute) for (op, compute), number in counts.items()]
    is_complete = seen.is_complete and not any(
        found[0] not in known for found in map(_foreign, _in_blocks(graph)) if found
    )
    return replace(seen, source=_SOURCE, kernels=(*kernels, *extra), is_complete=is_complete)


def _in_blocks(graph: Any) -> Iterator[Any]:
    """The nodes of branches and loops."""
    for node in graph.nodes():
        for block in node.blocks():
            yield from block.nodes()
            yield from _in_blocks(block)


def _foreign(node: Any) -> tuple[str, str | None] | None:
    """The name and precision of a node that is no operator of torch's own; None for one that is."""
    kind = str(node.kind())
    if kind.startswith("aten::") or (kind.startswith("prim::") and "mkldnn_" not in kind and "Group" not in kind):
        return None
    if "Group" not in kind:
        return kind, "fp32" if "sgemm" in kind else None
    parts = [str(part.kind()).rpartition("::")[2] for part in node.g("Subgraph").nodes()]
    products = [*dict.fromkeys(_products(parts))]
    if not products:
        return kind, None
    return f"{kind}({', '.join(products)})", "int8" if "dequantize" in parts else None


def _products(names: list[str]) -> Iterator[str]:
    return (name for name in names if is_matrix_kernel(Kernel(name, 1)))
