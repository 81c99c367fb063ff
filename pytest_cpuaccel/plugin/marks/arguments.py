"""The arguments of a mark for one backend."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pytest_cpuaccel.core import pattern
from pytest_cpuaccel.core.budget_values import Parser
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.given_value import shown
from pytest_cpuaccel.core.suggestion import suggestion
from pytest_cpuaccel.plugin.marks.names import closest

if TYPE_CHECKING:
    import pytest

    from pytest_cpuaccel.core.backend import Backend

_QUALIFIERS = {"vs", "of"}
"""Arguments that are no budgets by themselves."""
_OTHER_NAMES = {
    "rel": ("rtol",),
    "abs": ("atol",),
    "tol": ("rtol", "atol"),
    "tolerance": ("rtol", "atol"),
    "snr": ("sqnr_db",),
    "sqnr": ("sqnr_db",),
    "argmax": ("top1",),
    "top-1": ("top1",),
    "accuracy": ("top1",),
    "neighbors": ("neighbours",),
    "knn": ("neighbours",),
    "recall": ("neighbours",),
    "output": ("outputs",),
    "keys": ("outputs",),
    "attention-mask": ("mask",),
    "padding": ("mask",),
    "latency": ("p50",),
    "max-latency": ("p50",),
    "max": ("p99",),
    "median": ("p50",),
    "mean": ("p50",),
    "p95": ("p90", "p99"),
    "throughput": ("min_throughput",),
    "first-token": ("ttft",),
    "per-token": ("tpot",),
    "min-speedup": ("speedup",),
    "faster": ("speedup",),
    "slowdown": ("max_slowdown",),
    "max-regression": ("max_slowdown",),
    "reference": ("vs",),
    "baseline": ("vs",),
    "against": ("vs",),
    "startup": ("cold_start",),
    "start": ("cold_start",),
    "load": ("cold_start",),
    "export": ("build",),
    "compile": ("build",),
    "memory": ("peak",),
    "rss": ("peak",),
    "size": ("artifact",),
    "disk": ("artifact",),
    "drop": ("max_drop",),
    "score": ("min_score",),
    "int8": ("int8_share",),
    "bf16": ("bf16_share",),
    "fallback": ("no_fallback",),
    "graph-breaks": ("max_graph_breaks",),
    "has": ("contains",),
    "includes": ("contains",),
    "not-contains": ("absent",),
    "skip": ("exclude",),
    "without": ("exclude",),
}
"""What people call the arguments, in lower case with hyphens -> the arguments that may be meant."""


def arguments(item: pytest.Item, name: str, backend: str, parsers: Mapping[str, Parser]) -> dict[str, Any] | None:
    """Return the arguments of a mark for a backend, parsed; those set to None, or not set for it, are left out.

    Raises:
        UsageError: an argument or value that has no meaning, with the test's name.
    """
    mark = only_mark(item, name)
    if mark is None:
        return None
    if mark.args:
        raise UsageError(f"{item.nodeid}: @{name}({shown(mark.args[0])}): name the argument: {', '.join(parsers)}")
    refuse_unknown(mark.kwargs, parsers, f"{item.nodeid}: @{name}")
    values: dict[str, Any] = {}
    for key, given in mark.kwargs.items():
        with _placed(f"{item.nodeid}: @{name}({key}=)"):
            value = given if key == "outputs" else _for_backend(given, backend)
            if value is not None:
                values[key] = parsers[key](value)
    return values


def compulsory_arguments(
    item: pytest.Item, name: str, backend: str, parsers: Mapping[str, Parser], example: str
) -> dict[str, Any] | None:
    """Return the arguments of a mark that needs a budget; None if it has budgets for other backends only.

    Raises:
        UsageError: as :func:`arguments`, or the mark has no budget for any backend.
    """
    values = arguments(item, name, backend, parsers)
    if values is None or set(values) - _QUALIFIERS:
        return values
    mark = only_mark(item, name)
    if mark and any(
        isinstance(given, Mapping) and given for key, given in mark.kwargs.items() if key not in _QUALIFIERS
    ):
        return None
    raise UsageError(f"{item.nodeid}: @{name} allows nothing yet; write {example}")


def check_backends(item: pytest.Item, name: str, known: Mapping[str, Backend]) -> None:
    """Check that every name and glob in a mark's dicts by backend is one of a known backend.

    Raises:
        UsageError: one isn't; its value would check nothing.
    """
    mark = only_mark(item, name)
    for key, given in mark.kwargs.items() if mark else ():
        if key == "outputs" or not isinstance(given, Mapping):
            continue
        for named in given:
            if not any(fnmatchcase(known_name, str(named)) for known_name in known):
                from pytest_cpuaccel.backends.registry import no_such_backend

                raise UsageError(f"{item.nodeid}: @{name}({key}=): {no_such_backend(named, known)}")


def only_mark(item: pytest.Item, name: str) -> pytest.Mark | None:
    """Return the closest mark, as everywhere in pytest. Refuse two in one place: pytest would silently drop one."""
    found = closest(item, name)
    if len(found) > 1:
        raise UsageError(f"{item.nodeid}: two @{name} in one place, of which only one would count; write them as one")
    return found[0] if found else None


def _for_backend(value: Any, backend: str) -> Any:
    """Return the value, or this backend's value in a ``{"ort*": ..., "*": ...}`` dict."""
    return pattern.closest(backend, value) if isinstance(value, Mapping) else value


@contextlib.contextmanager
def _placed(where: str) -> Iterator[None]:
    """Say where a mistake stands."""
    try:
        yield
    except UsageError as mistake:
        raise UsageError(f"{where}: {mistake}") from None


def refuse_unknown(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse an argument that a mark does not take.

    Raises:
        UsageError: names the first one.
    """
    for key in given:
        if key not in known:
            raise UsageError(f"{where} takes no {key!r}; {suggestion(key, known, _OTHER_NAMES)}")
