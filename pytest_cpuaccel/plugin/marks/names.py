"""The marks: their names and arguments, and those on a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

DECLARATIONS = (
    "parity(rtol=, atol=, cosine=, sqnr_db=, top1=, neighbours=, outputs=, mask=): outputs equal eager's within a "
    "tolerance",
    "latency_budget(p50=, p90=, p99=, min_throughput=, ttft=, tpot=, speedup=, max_slowdown=, vs='eager', cold_start=, "
    "build=): how fast a call must be",
    "memory_budget(peak=, artifact=): most memory of a process that runs the model, most bytes of its artifact",
    "accuracy_budget(max_drop=, min_score=, of=): the greatest drop, or the least mean, of the scores of score_items",
    "kernels(int8_share=, bf16_share=, no_fallback=, max_graph_breaks=, contains=, absent=): which kernels must run",
    "cpu_backends(*names, exclude=): the backends, of those chosen, that a test runs under",
)
JUDGED = ("parity", "latency_budget", "memory_budget", "accuracy_budget", "kernels")


def closest(node: pytest.Item | pytest.Collector, name: str) -> list[pytest.Mark]:
    """Return the marks of a name in the closest place that has any; a class's own are closer than its bases'.

    pytest puts those of bases first.
    """
    found = list(node.iter_markers_with_node(name))
    nearest = [mark for owner, mark in found if owner is found[0][0]]
    kind = getattr(found[0][0], "obj", None) if len(nearest) > 1 else None
    for base in kind.__mro__ if isinstance(kind, type) else ():
        given = vars(base).get("pytestmark", [])
        own = [getattr(item, "mark", item) for item in (given if isinstance(given, list) else [given])]
        if closer := [mark for mark in nearest if mark in own]:
            return closer
    return nearest


def judged(item: pytest.Item) -> list[str]:
    """Return the names of the marks that are judged, on a test or on its class, module or package."""
    return [name for name in JUDGED if item.get_closest_marker(name)]


def on_test_itself(item: pytest.Item) -> list[str]:
    """Return the names of the judged marks on the test itself; the others apply only to tests that use a model."""
    return [name for name in JUDGED if any(mark.name == name for mark in item.own_markers)]
