"""Which errors say that a backend can't run a model, and which say that something else went wrong."""

from __future__ import annotations

import errno
import pickle
import subprocess

import pytest

from pytest_cpuaccel.backends.toolkit.upstream import build_error, contained
from pytest_cpuaccel.core.errors import (
    BackendUnavailableError,
    BuildError,
    BuildFailureError,
    CpuaccelError,
    EagerError,
    NothingToDoError,
    UsageError,
    is_refusal,
    retold,
)


class OtherError(NothingToDoError):
    """A backend's own kind, made of more than a text."""

    def __init__(self, layers: int, wanted: int) -> None:
        super().__init__(f"{layers} of {wanted} layers")


class InvalidCxxCompiler(RuntimeError):  # noqa: N818
    """Named like Inductor's."""


class CompilerError(RuntimeError):
    """Holds its cause as Dynamo's do."""

    def __init__(self, inner: Exception) -> None:
        super().__init__("backend failed")
        self.inner_exception = inner


def _from(cause: BaseException) -> Exception:
    error = RuntimeError("export failed")
    error.__cause__ = cause
    return error


def _meanwhile(context: BaseException) -> Exception:
    error = NotImplementedError("no kernel")
    error.__context__ = context
    return error


@pytest.mark.parametrize(
    ("error", "refuses"),
    [
        (BuildError("no kernel"), True),
        (NothingToDoError("no layer"), True),
        (OtherError(0, 2), True),
        (BuildFailureError("wrong"), False),
        (BackendUnavailableError("not installed"), False),
        (EagerError("in training mode"), False),
        (UsageError("no model"), False),
        (NotImplementedError("no kernel"), False),
        (None, False),
    ],
)
def test_a_refusal_is_a_build_error_that_is_no_failure(error: object, refuses: bool) -> None:
    assert is_refusal(error) is refuses


@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("no kernel for aten::gelu"),
        RuntimeError("Unsupported operator"),
        AttributeError("'function' object has no attribute 'device'"),
        _from(NotImplementedError("no kernel")),
        _meanwhile(FileNotFoundError("no cached graph")),
        CompilerError(NotImplementedError("no kernel")),
    ],
)
def test_an_exception_of_upstream_is_a_refusal(error: Exception) -> None:
    assert is_refusal(build_error(error))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError("the cache"),
        FileNotFoundError("g++"),
        TimeoutError("too long"),
        MemoryError(),
        subprocess.TimeoutExpired("g++", 60),
        subprocess.CalledProcessError(1, "g++"),
        UserWarning("as an error"),
        InvalidCxxCompiler("no compiler"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("[ONNXRuntimeError] : 1 : FAIL : write failed: No space left on device"),
        _from(MemoryError()),
        _from(_from(OSError(errno.ENOSPC, "No space left on device"))),
        CompilerError(InvalidCxxCompiler("no compiler")),
        CompilerError(BuildFailureError("no compiler")),
    ],
)
def test_an_exception_that_comes_of_the_machine_is_a_failure(error: Exception) -> None:
    assert isinstance(build_error(error), BuildFailureError)


def test_exceptions_that_cause_each_other_are_looked_at_once() -> None:
    error = RuntimeError("no kernel")
    error.__cause__ = _from(error)
    assert is_refusal(build_error(error))


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (NotImplementedError("no kernel"), BuildError),
        (OSError("disk"), BuildFailureError),
        (NothingToDoError("no layer"), NothingToDoError),
        (ModuleNotFoundError("no onnxscript"), BackendUnavailableError),
    ],
)
def test_contained_code_raises_an_error_of_the_right_kind(raised: Exception, kind: type[CpuaccelError]) -> None:
    with pytest.raises(CpuaccelError) as error, contained():
        raise raised
    assert type(error.value) is kind


@pytest.mark.parametrize("error", [BuildError("a"), NothingToDoError("a"), BuildFailureError("a"), UsageError("a")])
def test_an_error_keeps_its_kind_with_another_text_and_in_another_process(error: CpuaccelError) -> None:
    other = pickle.loads(pickle.dumps(retold(error, "ort: a")))
    assert (type(other), str(other)) == (type(error), "ort: a")


def test_an_error_of_a_backends_own_class_is_retold_as_the_kind_that_it_is_of() -> None:
    other = retold(OtherError(0, 2), "half: 0 of 2 layers")
    assert (type(other), str(other)) == (NothingToDoError, "half: 0 of 2 layers")
