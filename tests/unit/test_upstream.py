"""Upstream's exceptions as one line."""

from __future__ import annotations

import pytest

from pytest_cpuaccel.backends.toolkit.upstream import reason


def _caused(text: str) -> Exception:
    error = RuntimeError(text)
    error.__cause__ = ValueError("no generator")
    return error


_JOINED = "RuntimeError: loading failed: of the second kind: no kernel"
_CHECK = "RuntimeError: Check 'x' failed at d.hpp:5: no x"
_WITH_CAUSE = "RuntimeError: No node %y. ValueError: no generator"


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
