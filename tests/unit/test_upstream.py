"""Upstream's exceptions as one line."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from pytest_cpuaccel.backends.toolkit.code_line import code_line, line_in
from pytest_cpuaccel.backends.toolkit.upstream import contained, reason
from pytest_cpuaccel.core.errors import BuildError


def _caused(text: str) -> Exception:
    error = RuntimeError(text)
    error.__cause__ = ValueError("no generator")
    return error


def _named(kind: str, text: str) -> Exception:
    """Return an exception of a class of this name, as a library that is not installed here would raise it."""
    error: Exception = type(kind, (Exception,), {})(text)
    return error


def _raised_from(text: str, *causes: Exception) -> Exception:
    error = first = RuntimeError(text)
    for error.__cause__ in causes:
        error = error.__cause__
    return first


_JOINED = "RuntimeError: loading failed: of the second kind: no kernel"
_CHECK = "RuntimeError: Check 'x' failed at d.hpp:5: no x"
_WITH_CAUSE = "RuntimeError: No node %y. ValueError: no generator"


_NO_ONNX = _raised_from(
    "Failed to decompose. This is step 3/3 of exporting the model to ONNX. See https://x.org",
    _named("ConversionError", "Error when translating node %e. See the stack trace for more information."),
    _named("DispatchError", "No ONNX function found for <OpOverload(op='aten.eig', overload='default')>. Failure: x"),
)
_GUARD = _named("GuardOnDataDependentSymNode", "Could not guard on data-dependent expression Eq(u0, 1)")
_NOT_BUILT = RuntimeError(
    "Could not run 'aten::x' with arguments from the 'QuantizedCPU' backend. This could be because it doesn't exist. "
    "If you are a Facebook employee, please visit https://fburl.com/x. 'aten::x' is only available for: [CPU]"
)
_FAKE_RUN = _named(
    "TorchRuntimeError",
    "RuntimeError when making fake tensor call\n  Explanation: Dynamo failed: call_function x(*(), **{}): got "
    "RuntimeError('no fake impl for <x>. See https://x.org')\n  Hint: none",
)
_CPP = _named(
    "CppCompileError", "C++ compile error\n\nCommand:\ng++ x.cpp\n\nOutput:\nx.cpp:1:2: error: no member 'y'\n"
)
_ORT = _named("InvalidGraph", "[ONNXRuntimeError] : 10 : INVALID_GRAPH : Load model from /a/model.onnx failed:No node")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (_NO_ONNX, "ONNX has no operator for aten.eig"),
        (_GUARD, "the model's Python code needs the value of a tensor to go on, in an if, a while, *"),
        (_named("UnsupportedOperatorException", "aten._to_sparse.default"), "there is no operator aten._to_sparse *"),
        (_NOT_BUILT, "RuntimeError: Could not run 'aten::x' with arguments from the 'QuantizedCPU' backend"),
        (_FAKE_RUN, "RuntimeError: no fake impl for <x>."),
        (_CPP, "CppCompileError: the C++ compiler says: no member 'y'"),
        (_ORT, "InvalidGraph: No node"),
        (RuntimeError("No kernel. Please file an issue on github."), "RuntimeError: No kernel."),
        (RuntimeError("See https://x.org"), "RuntimeError: See https://x.org"),
        (RuntimeError("\x1b[0;93mno\x1b[m kernel"), "RuntimeError: no kernel"),
        (RuntimeError("word " * 200), "RuntimeError: word word * ..."),
    ],
)
def test_pages_of_exporters_and_compilers_are_one_sentence(error: Exception, line: str) -> None:
    assert fnmatchcase(reason(error), line)
    assert "http" not in reason(error) or "http" in line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no kernel\nfor gelu"), "ValueError: no kernel"),
        (RuntimeError("the following failed:\nno kernel"), "RuntimeError: the following failed: no kernel"),
        (KeyError(), "KeyError"),
        (RuntimeError("\x1b[31mno\x1b[0m kernel"), "RuntimeError: no kernel"),
        (_caused("Failed to decompose. This is step 2/3 of exporting the model to ONNX."), "ValueError: no generator"),
        (_caused("Failed to decompose."), "RuntimeError: Failed to decompose."),
        (RuntimeError("loading failed:\nof the second kind:\nno kernel\nfor gelu"), _JOINED),
        (
            RuntimeError("Exception from a.cpp:1:\nException from c.cpp:7:\nCheck 'x' failed at d.hpp:5:\nno x"),
            _CHECK,
        ),
        (RuntimeError("Exception from a/b.cpp:13:\nno such plugin\n\n"), "RuntimeError: no such plugin"),
        (RuntimeError("Exception from a/b.cpp:13:\n"), "RuntimeError: Exception from a/b.cpp:13:"),
        (_caused("No node %y. See the stack trace for more information."), _WITH_CAUSE),
        (ValueError("No node. See the stack trace for more information."), "ValueError: No node."),
        (ValueError("No node (Refer to the full stack trace above for more information.)"), "ValueError: No node"),
        (RuntimeError("in /opt/x/site-packages/torch/f.py(5): apply"), "RuntimeError: in torch/f.py(5): apply"),
    ],
)
def test_an_exception_is_its_class_and_its_first_statement_without_where_libraries_lie(
    error: Exception, line: str
) -> None:
    assert reason(error) == line


def test_a_refusal_names_the_users_line_that_an_exception_came_through() -> None:
    def forward() -> None:
        raise RuntimeError("no kernel")

    with pytest.raises(BuildError, match=r"^RuntimeError: no kernel \(at .*test_upstream\.py:\d+\)$"), contained():
        forward()


def test_a_users_line_is_read_from_a_compilers_text() -> None:
    text = f'from user code:\n  File "{__file__}", line 7, in forward\n  File "/site-packages/a.py", line 9, in f'
    assert line_in(text).endswith("test_upstream.py:7")
    assert code_line(RuntimeError(text)) == line_in(text)


def test_code_of_libraries_is_not_the_users(tmp_path: Path) -> None:
    file = tmp_path / "site-packages" / "a.py"
    file.parent.mkdir()
    file.touch()
    assert line_in(f'File "{file}", line 9, in f') == ""
    assert line_in('File "<string>", line 1, in f') == ""
    assert code_line(RuntimeError("raised nowhere")) == ""
