"""An entry of the file: the tolerance of one output, as a table of TOML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_cpuaccel.core import budget_values as values
from pytest_cpuaccel.core.budget_values import Parser
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.given_value import shown
from pytest_cpuaccel.core.suggestion import suggestion
from pytest_cpuaccel.core.tolerance_lock import Lock, LockKey, Need
from pytest_cpuaccel.tolerances.seen import Cases, cases_of, texts_of

HEADER = "[[tolerance]]"
KEYS = ("model", "call", "backend", "output")
LIMITS = ("rmse", "max")
FACTS = ("measured_rmse", "measured_max", "eager_rmse", "eager_max", "precision", "versions", "isa", "tests")
VARYING = "varying_db"
"""A limit that a person alone sets: of an answer that the default tolerance refuses nothing is proposed."""
_FIELDS = (*KEYS, *LIMITS, VARYING, *FACTS)


@dataclass(frozen=True)
class Entry:
    """``line`` is that of its header, from 1; 0 where it has none. ``facts`` are kept as they stand.

    ``tests`` are those that it was measured in; None where it names none, as one that was written by hand.
    """

    key: LockKey
    rmse: float
    largest: float
    line: int
    facts: Mapping[str, Any]
    tests: Cases | None = None
    varying_db: float | None = None

    def lock(self, file: str) -> Lock:
        """Return the lock, whose place is told by the file's name."""
        versions = self.facts.get("versions")
        listed = versions if isinstance(versions, list) else []
        isa = self.facts.get("isa")
        measured_on = ", ".join(map(str, (*listed, *([isa] if isa else []))))
        place = f"{file}:{self.line}" if self.line else file
        return Lock(self.rmse, self.largest, place, measured_on, self.varying_db)


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
    facts = {name: table[name] for name in FACTS if name in table}
    tests = _tests(table["tests"]) if "tests" in table else None
    varying_db = _limit(VARYING, table[VARYING], values.decibels) if VARYING in table else None
    return Entry(key, rmse, largest, line, facts, tests, varying_db)


def _tests(given: Any) -> dict[str, int]:
    if not isinstance(given, list) or not all(isinstance(test, str) for test in given):
        raise UsageError(f'tests = {shown(given)} is no list of tests; write tests = ["tests/test_it.py::test_close"]')
    return cases_of(given)


_EXAMPLES = {
    "model": '"BertModel-1a2b3c4d"',
    "call": '"forward"',
    "backend": '"ort-int8"',
    "output": '"logits"',
    "rmse": "1e-3",
    "max": "1e-3",
}


def written(key: LockKey, fields: Mapping[str, str]) -> str:
    """Return an entry with these fields, which are TOML, with a line end after each line."""
    every = {**{name: quoted(text) for name, text in zip(KEYS, key, strict=True)}, **fields}
    return "".join(f"{line}\n" for line in (HEADER, *(f"{name} = {value}" for name, value in every.items())))


def fields_of(need: Need, tests: Cases) -> dict[str, str]:
    """Return the fields of a need that was found in these tests as TOML, without those of its key."""
    return {name: value for name, value in _fields(need, tests) if value is not None}


def tests_field(tests: Cases) -> str:
    """Return the tests of an entry as TOML."""
    return _list(texts_of(tests))


def _fields(need: Need, tests: Cases) -> Iterator[tuple[str, str | None]]:
    yield "rmse", _limit_text(need.rmse)
    yield "max", _limit_text(need.largest)
    yield "measured_rmse", _about(need.measured_rmse)
    yield "measured_max", _about(need.measured_largest)
    yield "eager_rmse", _about(need.eager_rmse)
    yield "eager_max", _about(need.eager_largest)
    yield "precision", quoted(need.precision)
    yield "versions", _list(need.versions)
    yield "isa", quoted(need.isa)
    yield "tests", tests_field(tests)


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, texts))}]"


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


def _limit_text(value: float) -> str:
    """A limit in three digits where these are all that it has: it holds as it is written."""
    short = "0.0" if value == 0 else f"{value:.2e}"
    return short if float(short) == value else repr(value)


def _about(value: float | None) -> str | None:
    return None if value is None else f"{value:.2e}" if value else "0.0"


def _limit(name: str, value: Any, parse: Parser = values.tolerance) -> float:
    try:
        return float(parse(value))
    except UsageError as mistake:
        raise UsageError(f"{name}: {mistake}") from None
