"""The support matrix as a page: for each family a table of backends by architectures, then the reasons."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tabulate import tabulate

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.report.environment import as_list
from pytest_cpuaccel.support_matrix.cell import Cell, Status
from pytest_cpuaccel.zoo.architecture import Architecture

WORDS: Mapping[Status, str] = {
    Status.RIGHT: "yes",
    Status.LIMITED: "partly",
    Status.UNSUPPORTED: "no",
    Status.CRASH: "**crash**",
    Status.WRONG: "**wrong**",
}
MEANINGS: Mapping[Status, str] = {
    Status.RIGHT: "every call answers as eager PyTorch does",
    Status.LIMITED: "forward calls answer as eager does; something else is refused, with a reason",
    Status.UNSUPPORTED: "the model is refused, with upstream's reason",
    Status.CRASH: "an unexpected error, a killed process or a hang",
    Status.WRONG: "another answer than eager's",
}

_LONGEST_REASON = 300


def page(
    cells: Sequence[Cell],
    architectures: Sequence[Architecture],
    backends: Sequence[str],
    environment: Mapping[str, Scalar | Sequence[str]],
) -> str:
    """Return the page as GitHub-flavoured Markdown; rows and columns are in the order of the last but one arguments."""
    cells = list(_in_general(cells, {item.name: item.model for item in architectures}))
    reasons = _numbered(cells)
    parts = [
        "# Support matrix",
        "Tiny models with random weights, each called with a padded batch, with another batch and length, and with "
        "`generate()` where it has that; all answers are compared with eager PyTorch's. Made by `cpuaccel matrix`.",
        as_list(environment),
        _legend(cells),
        *_tables(cells, architectures, backends, reasons),
        _reasons(cells, reasons),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _in_general(cells: Iterable[Cell], models: Mapping[str, str]) -> Iterator[Cell]:
    """Return the cells with short reasons that don't name the model, so that equal reasons appear once."""
    for cell in cells:
        reason = re.sub(rf"\b{re.escape(models[cell.architecture])}\b", "the model", cell.reason)
        yield replace(cell, reason=textwrap.shorten(reason, _LONGEST_REASON, placeholder=" ..."))


def _legend(cells: Sequence[Cell]) -> str:
    counts = Counter(cell.status for cell in cells)
    lines = [(WORDS[status], counts[status], MEANINGS[status]) for status in Status]
    return str(tabulate(lines, ("answer", "cells", "means"), tablefmt="github"))


def _tables(
    cells: Sequence[Cell], architectures: Sequence[Architecture], backends: Sequence[str], reasons: Mapping[str, int]
) -> Iterator[str]:
    by_place = {(cell.architecture, cell.backend): cell for cell in cells}
    for family in dict.fromkeys(architecture.family for architecture in architectures):
        members = [item for item in architectures if item.family == family]
        measured = [item for item in members if any((item.name, backend) in by_place for backend in backends)]
        if not measured:
            continue
        yield f"## {family[0].upper()}{family[1:]}"
        yield ", ".join(f"{item.name}: `{item.model}`" for item in measured)
        lines = [
            (backend, *(_word(by_place.get((item.name, backend)), reasons) for item in measured))
            for backend in backends
            if any((item.name, backend) in by_place for item in measured)
        ]
        yield tabulate(lines, ("", *(item.name for item in measured)), tablefmt="github", disable_numparse=True)


def _word(cell: Cell | None, reasons: Mapping[str, int]) -> str:
    if cell is None:
        return ""
    word = WORDS[cell.status]
    return f"{word} [{reasons[cell.reason]}](#reasons)" if cell.reason else word


def _numbered(cells: Sequence[Cell]) -> dict[str, int]:
    """Number the reasons, the worst first."""
    severe_first = sorted(cells, key=lambda cell: -list(Status).index(cell.status))
    return {reason: place for place, reason in enumerate(dict.fromkeys(c.reason for c in severe_first if c.reason), 1)}


def _reasons(cells: Sequence[Cell], reasons: Mapping[str, int]) -> str:
    lines = []
    for reason, number in reasons.items():
        where: dict[str, list[str]] = {}
        for cell in cells:
            if cell.reason == reason:
                where.setdefault(cell.backend, []).append(cell.architecture)
        places = "; ".join(f"{backend}: {', '.join(names)}" for backend, names in where.items())
        lines.append(f"{number}. {places}: `{reason.replace('`', chr(39))}`")
    return "\n".join(["## Reasons", "", *lines]) if lines else ""
