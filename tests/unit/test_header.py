"""The header above the tests."""

from __future__ import annotations

import pytest

from pytest_cpuaccel.core.backend import Backend, Requirement
from pytest_cpuaccel.report.header import header


def backend(name: str, *requires: str) -> Backend:
    return Backend(name=name, summary=name, load=print, requires=tuple(Requirement(one, "") for one in requires))


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", {"torch": "2.13.0", "onnxruntime": "1.22.1", "onnx": "1.19"}.get)


BACKENDS = (backend("eager", "torch"), backend("ort", "torch", "onnx", "onnxruntime"), backend("plain"))


def test_each_distribution_is_named_once() -> None:
    first, second, last = header(BACKENDS, {}, 1)
    assert first == "cpuaccel: eager, ort, plain"
    assert second == "cpuaccel: torch 2.13.0, onnx 1.19, onnxruntime 1.22.1"
    assert last.startswith("cpuaccel: 1 thread of ")


def test_what_is_missing_has_its_line_and_no_version() -> None:
    lines = list(header(BACKENDS, {"ort": "ort: broken"}, 2))
    assert lines[:3] == ["cpuaccel: eager, plain", "cpuaccel: torch 2.13.0", "cpuaccel: skipped ort: broken"]
    assert lines[3].startswith("cpuaccel: 2 threads of ")


def test_where_nothing_runs_that_is_said() -> None:
    assert next(header(BACKENDS[:1], {"eager": "eager: broken"}, 1)) == "cpuaccel: no backend"


def test_lines_are_folded_to_the_terminal_and_no_version_is_parted_from_its_name() -> None:
    lines = list(header(BACKENDS, {}, 1, width=30))[:-1]
    assert lines == [
        "cpuaccel: eager, ort, plain",
        "cpuaccel: torch 2.13.0,",
        "cpuaccel: onnx 1.19,",
        "cpuaccel: onnxruntime 1.22.1",
    ]
    assert "cpuaccel: onnxruntime 1.22.1" in list(header(BACKENDS, {}, 1, width=5))
