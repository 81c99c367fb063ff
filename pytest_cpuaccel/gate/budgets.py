"""The budgets of a gate, from the texts of its options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from pytest_cpuaccel.core import pattern
from pytest_cpuaccel.core.budget import NO_LIMIT, Budgets, LatencyBudget, MemoryBudget, ParityBudget, StartupBudget
from pytest_cpuaccel.core.budget_arguments import (
    LATENCY,
    MEMORY,
    PARITY,
    latency_and_startup,
    memory_budget,
    parity_budget,
)
from pytest_cpuaccel.core.budget_values import Parser
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.suggestion import suggestion
from pytest_cpuaccel.core.tolerances import TOLERANCES

LIMITS: Mapping[str, Parser] = {name: parse for name, parse in {**LATENCY, **MEMORY}.items() if name != "vs"}
"""Budget of a latency, start-up or memory -> its parser; each is an option of that name."""
_NUMBERS = frozenset({*TOLERANCES, "speedup", "max_slowdown"})
"""Those that may be a bare number."""
_EVERY = "*"


@dataclass(frozen=True)
class Limits:
    """``parity`` is what every backend is held to; ``by_name`` holds for each limit its value by backend or glob."""

    parity: ParityBudget
    by_name: Mapping[str, Mapping[str, Any]]
    vs: str = "eager"

    def check_run(self, backends: Sequence[str]) -> None:
        """Check that every limit is of a backend among those that run.

        Raises:
            UsageError: one is of no such backend.
        """
        for name, values in self.by_name.items():
            for given in values:
                if given != _EVERY and not any(fnmatchcase(backend, given) for backend in backends):
                    raise UsageError(
                        f"--{name.replace('_', '-')}: {given!r} is not among the backends that run; "
                        f"--cpu-backends chose {', '.join(backends)}"
                    )

    def budgets(self, backend: str) -> Budgets:
        """Return the budgets of a backend: what has no limit is measured all the same, except a build.

        Raises:
            UsageError: its limits contradict each other.
        """
        given = {name: pattern.closest(backend, values) for name, values in self.by_name.items()}
        known = {name: value for name, value in given.items() if value is not None}
        if backend == self.vs and known.get("speedup", 1) > 1:
            del known["speedup"]  # nothing is faster than itself
        of_memory = {name: value for name, value in known.items() if name in MEMORY}
        of_latency = {name: value for name, value in known.items() if name in LATENCY}
        latency, startup = latency_and_startup({**of_latency, "vs": self.vs}, f"the limits of {backend}")
        cold_start_ns = NO_LIMIT if startup is None or startup.cold_start_ns is None else startup.cold_start_ns
        memory = memory_budget({"peak": NO_LIMIT, "artifact": NO_LIMIT, **of_memory})
        return Budgets(
            parity=self.parity,
            latency=latency or LatencyBudget(vs=self.vs),
            startup=replace(startup or StartupBudget(), cold_start_ns=cold_start_ns),
            memory=MemoryBudget(memory.peak_bytes, memory.artifact_bytes),
        )


def limits_of(texts: Mapping[str, str], parity: ParityBudget, backends: Iterable[str], vs: str = "eager") -> Limits:
    """Return the limits in the texts of options, by the name of the budget.

    A text is one value, ``30 ms``, or values by backend, ``ort:1.3,openvino*:1.1``; ``backends`` are all known names.

    Raises:
        UsageError: a text without meaning, a backend that nobody has, or two budgets of the same figure.
    """
    if "speedup" in texts and "max_slowdown" in texts:
        raise UsageError("--speedup and --max-slowdown set the same ratio; keep one")
    known = tuple(backends)
    by_name = {name: dict(_by_backend(name, text, known)) for name, text in texts.items()}
    return Limits(parity, by_name, vs)


def parity_of(tolerances: str, outputs: str, mask: str | None) -> ParityBudget:
    """Return the parity budget in the texts of the options ``--parity``, ``--outputs`` and ``--mask``.

    Raises:
        UsageError: a text without meaning.
    """
    given: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in tolerances.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        name = name.replace("-", "_")
        if name not in TOLERANCES:
            raise UsageError(f"--parity: no tolerance named {name!r}; {suggestion(name, TOLERANCES)}")
        if not equals or not value:
            raise UsageError(f"--parity: {name} has no value; write --parity=rtol=1e-3,atol=1e-5")
        if name in given:
            raise UsageError(f"--parity: {name} is given twice; keep one")
        given[name] = _parsed("parity", PARITY[name], name, value)
    names = outputs.replace(",", " ").split()
    if names:
        given["outputs"] = PARITY["outputs"](names)
    return parity_budget(given if mask is None else {**given, "mask": mask})


def _by_backend(name: str, text: str, known: tuple[str, ...]) -> Iterable[tuple[str, Any]]:
    option = name.replace("_", "-")
    given = set()
    for part in text.split(",") if ":" in text else [f"{_EVERY}:{text}"]:
        backend, colon, value = (piece.strip() for piece in part.partition(":"))
        if not colon or not backend:
            raise UsageError(f"--{option}: {part.strip()!r} names no backend; write ort:VALUE,openvino*:VALUE,*:VALUE")
        if not any(fnmatchcase(own, backend) for own in known):
            raise UsageError(f"--{option}: no backend named {backend!r}; {suggestion(backend, known)}")
        if backend in given:
            raise UsageError(f"--{option}: {backend!r} is given twice; keep one")
        given.add(backend)
        yield backend, _parsed(option, LIMITS[name], name, value)


def _parsed(option: str, parse: Parser, name: str, text: str) -> Any:
    value: Any = text
    if name in _NUMBERS:
        try:
            value = float(text)
        except ValueError:
            value = text
    try:
        return parse(value)
    except UsageError as mistake:
        told = str(mistake).replace(" is a text; ", " is not a number; ").removesuffix(" without quotes")
        raise UsageError(f"--{option}: {told}") from None
