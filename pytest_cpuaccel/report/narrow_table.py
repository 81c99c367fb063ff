"""The table for a page that has room for eight columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.table import COLUMNS, table

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "test": ("test",),
    "model and call": ("model", "call"),
    "backend": ("backend",),
    "parity": ("parity",),
    "accuracy": ("accuracy",),
    "p50, vs eager": ("p50", "vs eager"),
}
"""Heading -> the columns of the wide table that it joins."""
_OTHERS, _VERDICT = "other figures", "verdict"
_JOINED = frozenset((_VERDICT, *(name for joined in _COLUMNS.values() for name in joined)))


def narrow_table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return headings and lines, a line for each row; a column that nobody fills is left out.

    What has no column of its own stands in one cell, with its name: ``p99 3.5 ms, artifact 50 kB``.
    """
    wide, filled = table(rows)
    lines = [_joined(dict(zip(wide, line, strict=True))) for line in filled]
    headings = [*_COLUMNS, _OTHERS, _VERDICT]
    used = [at for at, name in enumerate(headings) if name == _VERDICT or any(line[at] for line in lines)]
    return [headings[at] for at in used], [[line[at] for at in used] for line in lines]


def _joined(cells: Mapping[str, str]) -> list[str]:
    joined = [_listed(cells.get(name, "") for name in names) for names in _COLUMNS.values()]
    others = _listed(f"{name} {cells[name]}" for name in COLUMNS if name not in _JOINED and cells.get(name))
    return [*joined, others, cells[_VERDICT]]


def _listed(cells: Iterable[str]) -> str:
    return ", ".join(filter(None, cells))
