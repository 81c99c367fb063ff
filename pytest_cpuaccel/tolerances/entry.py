"""An entry of the file: the tolerance of one output, as a table of TOML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_cpuaccel.core import budget_values as values
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.given_value import shown
from pytest_cpuaccel.core.suggestion import suggestion
from pytest_cpuaccel.core.tolerance_lock import Lock, LockKey, Need

HEADER = "[[tolerance]]"
KEYS = ("model", "call", "backend", "output")
LIMITS = ("rmse", "max")
FACTS = ("measured_rmse", "measured_max", "eager_rmse", "eager_max", "precision", "versions", "isa")
_FIELDS = (*KEYS, *LIMITS, *FACTS)


@dataclass(frozen=True)
class Entry:
    """``line`` is that of its header, from 1; 0 where it has none. ``facts`` are kept as they stand."""

    key: LockKey
    rmse: float
    largest: float
    line: int
    facts: Mapping[str, Any]

    def lock(self, file: str) -> Lock:
        """Return the lock, whose place is told by the file's name."""
        versions = self.facts.get("versions")
        listed = versions if isinstance(versions, list) else []
        isa = self.facts.get("isa")
        measured_on = ", ".join(map(str, (*listed, *([isa] if isa else []))))
        return Lock(self.rmse, self.largest, f"{file}:{self.line}" if self.line else file, measured_on)


def entry_of(table: Any, line: int) -> Entry:
    """Return the entry of a table.

    Raises:
        UsageError: a field is missing, unknown or has no meaning; the text begins with the field.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{shown(table)} is no table; write {HEADER}")
    for name in table:
        if name not in _FIELDS:
            raise UsageError(f"no field is named {name!r}; {suggestion(name, _FIELDS)}")
    for name in (*KEYS, *LIMITS):
        if name not in table:
            raise UsageError(f"the entry has no {name!r}; write {name} = {_EXAMPLES[name]}")
    for name in KEYS:
        if not isinstance(table[name], str) or not table[name]:
            raise UsageError(f"{name} = {shown(table[name])} names nothing; write {name} = {_EXAMPLES[name]}")
    key = LockKey(*(table[name] for name in KEYS))
    rmse, largest = (_limit(name, table[name]) for name in LIMITS)
    return Entry(key, rmse, largest, line, {name: table[name] for name in FACTS if name in table})


_EXAMPLES = {
    "model": '"BertModel-1a2b3c4d"',
    "call": '"forward"',
    "backend": '"ort-int8"',
    "output": '"logits"',
    "rmse": "1e-3",
    "max": "1e-3",
}


def written(key: LockKey, need: Need) -> str:
    """Return the entry of a need, with a line end after each line."""
    return "".join(f"{line}\n" for line in (HEADER, *(f"{name} = {value}" for name, value in _values(key, need))))


def figures_of(need: Need) -> dict[str, str]:
    """Return the fields of a need as TOML, without those of its key."""
    return {name: value for name, value in _fields(need) if value is not None}


def _values(key: LockKey, need: Need) -> Iterator[tuple[str, str]]:
    yield from ((name, quoted(text)) for name, text in zip(KEYS, key, strict=True))
    yield from figures_of(need).items()


def _fields(need: Need) -> Iterator[tuple[str, str | None]]:
    yield "rmse", _number(need.rmse)
    yield "max", _number(need.largest)
    yield "measured_rmse", _number(need.measured_rmse)
    yield "measured_max", _number(need.measured_largest)
    yield "eager_rmse", _optional(need.eager_rmse)
    yield "eager_max", _optional(need.eager_largest)
    yield "precision", quoted(need.precision)
    yield "versions", f"[{', '.join(map(quoted, need.versions))}]"
    yield "isa", quoted(need.isa)


def quoted(text: str) -> str:
    """Return a text as a basic string of TOML."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:  # half of a pair is no character of TOML
        return "\\uFFFD"
    return f"\\u{code:04X}" if code < 0x20 or code == 0x7F else character


def _number(value: float) -> str:
    return "0.0" if value == 0 else f"{value:.2e}"


def _optional(value: float | None) -> str | None:
    return None if value is None else _number(value)


def _limit(name: str, value: Any) -> float:
    try:
        return float(values.tolerance(value))
    except UsageError as mistake:
        raise UsageError(f"{name}: {mistake}") from None
