"""What the package offers to those who annotate fixtures and to those who add a backend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pytest_cpuaccel
from pytest_cpuaccel import Backend, BuiltModel, Requirement

ROOT = Path(pytest_cpuaccel.__file__).parents[1]


def test_every_public_name_is_there() -> None:
    for name in pytest_cpuaccel.__all__:
        assert getattr(getattr(pytest_cpuaccel, name), "__name__", name) == name


def test_any_other_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pytest_cpuaccel' has no attribute 'Backends'"):
        getattr(pytest_cpuaccel, "Backends")  # noqa: B009


def test_nothing_else_is_public() -> None:
    found = in_a_process("print(*(name for name in vars(pytest_cpuaccel) if name[0] != '_' and name != 'annotations'))")
    assert found.split() == []
    assert dir(pytest_cpuaccel) == sorted(pytest_cpuaccel.__all__)


def test_neither_torch_nor_numpy_is_imported_with_the_public_names() -> None:
    found = in_a_process("from pytest_cpuaccel import *; print('torch' in sys.modules, 'numpy' in sys.modules)")
    assert found.split() == ["False", "False"]


def test_a_backend_is_made_by_keywords() -> None:
    make: Any = Backend
    with pytest.raises(TypeError, match="positional"):
        make("half", "weights in fp16", print)


def test_threads_are_a_field_of_a_built_model() -> None:
    built = BuiltModel(print, threads=2)
    assert (built.threads, built.facts) == (2, {})


def test_threads_among_the_facts_of_an_older_backend_are_taken() -> None:
    built = BuiltModel(print, {"threads": 2, "layers": 3})
    assert (built.threads, built.facts) == (2, {"layers": 3})


def test_a_requirement_may_be_given_in_order() -> None:
    assert Requirement("torch", ">=2.8") == Requirement(distribution="torch", specifier=">=2.8")


def in_a_process(code: str) -> str:
    command = [sys.executable, "-c", f"import sys, pytest_cpuaccel; {code}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
