"""Upstream's exceptions as one line."""

from __future__ import annotations

import pytest

from pytest_cpuaccel.build.tools.upstream import reason


def _caused(text: str) -> Exception:
    error = RuntimeError(text)
    error.__cause__ = ValueError("no generator")
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no kernel\nfor gelu"), "ValueError: no kernel"),
        (RuntimeError("the following failed:\nno kernel"), "RuntimeError: the following failed: no kernel"),
        (KeyError(), "KeyError"),
        (RuntimeError("\x1b[31mno\x1b[0m kernel"), "RuntimeError: no kernel"),
        (_caused("Failed to decompose. This is step 2/3 of exporting the model to ONNX."), "ValueError: no generator"),
        (_caused("Failed to decompose."), "RuntimeError: Failed to decompose."),
        (RuntimeError("in /opt/x/site-packages/torch/f.py(5): apply"), "RuntimeError: in torch/f.py(5): apply"),
    ],
)
def test_an_exception_is_its_class_and_its_first_statement_without_where_libraries_lie(
    error: Exception, line: str
) -> None:
    assert reason(error) == line
