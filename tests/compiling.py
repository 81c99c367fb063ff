"""Compiling backends without the C++ compiler, which takes ten seconds and more for each shape of an input."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from pytest_cpuaccel.core.backend import Backend

OPTION = "--compile-kernels"
_COMPILERS = ("inductor", "ipex-compile")


@contextlib.contextmanager
def graphs_only() -> Iterator[None]:
    """Have dynamo's graphs run as they are."""
    import torch._dynamo

    as_they_are = torch._dynamo.lookup_backend("eager")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch._dynamo, "lookup_backend", lambda _: as_they_are)
        yield


@contextlib.contextmanager
def spared(backend: Backend, config: pytest.Config) -> Iterator[None]:
    """Keep a backend from the compiler, unless ``--compile-kernels`` was given; skip one that can't be kept from it."""
    asked_for = config.getoption(OPTION)
    if backend.name == "aoti" and not asked_for:
        pytest.skip(f"half a minute of compiling: {OPTION} asks for it")
    compiles = any(word in backend.name for word in _COMPILERS)
    with graphs_only() if compiles and not asked_for else contextlib.nullcontext():
        yield
