"""The line of a mark in a file of tests."""

from __future__ import annotations

import ast

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def mark_line(source: str, start: int, mark: str | None) -> int:
    """Return the line of a mark on the test that begins in line ``start``, or on its class.

    It is the line of the test's ``def`` where the mark is neither, and ``start`` where there is no such test. Lines
    count from 1; a test begins with its first decorator.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return start
    around = [node for node in ast.walk(tree) if isinstance(node, _Definition) and _spans(node, start)]
    inner_first = sorted(around, key=lambda node: node.lineno, reverse=True)
    for node in inner_first:
        for decorator in node.decorator_list:
            if _name(decorator) == mark:
                return decorator.lineno
    return inner_first[0].lineno if inner_first else start


def _spans(node: _Definition, line: int) -> bool:
    first = min((node.lineno, *(decorator.lineno for decorator in node.decorator_list)))
    return first <= line <= (node.end_lineno or first)


def _name(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return called.attr if isinstance(called, ast.Attribute) else ""
