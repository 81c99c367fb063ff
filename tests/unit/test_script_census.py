"""The kernel census of a TorchScript trace: the nodes that run past the dispatcher."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_cpuaccel.backends.script_census import with_nodes
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus

GELU = Kernel("gelu", 1, "fp32")
SGEMM = "ipex_prepack::mkl_sgemm_run"


def node(kind: str, *blocks: Any) -> Any:
    return SimpleNamespace(kind=lambda: kind, blocks=lambda: blocks)


def graph(*nodes: Any) -> Any:
    return SimpleNamespace(nodes=lambda: nodes)


def counted(*nodes: Any) -> KernelCensus:
    return with_nodes(KernelCensus("torch's dispatcher", (GELU,)), graph(*nodes))


def test_nodes_that_the_dispatcher_does_not_see_are_counted() -> None:
    found = counted(node(SGEMM), node("aten::gelu"), node(SGEMM))
    assert found.kernels == (GELU, Kernel(SGEMM, 2, "fp32"))
    assert found.is_complete


@pytest.mark.parametrize("kind", ["prim::If", "prim::Loop"])
def test_nodes_of_branches_and_loops_may_be_missing(kind: str) -> None:
    inner = node(kind, graph(node("aten::gelu")), graph(node(kind, graph(node(SGEMM)))))
    found = counted(inner)
    assert (found.kernels, found.is_complete) == ((GELU,), False)
    assert counted(node(kind, graph(node("aten::gelu")))).is_complete
