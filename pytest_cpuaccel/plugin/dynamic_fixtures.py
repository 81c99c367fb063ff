"""Tests that may ask for our fixtures while they run, so that pytest does not know it beforehand."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.internals import gone, internal
from pytest_cpuaccel.plugin.fixture_names import BACKEND

_OF_NO_USER = ("_pytest.", "pytest_cpuaccel.")
"""Modules whose fixtures never ask for ours."""


def may_ask(item: pytest.Item) -> bool:
    """Tell whether a test, or a fixture of it, takes ``request`` and so may ask for any fixture while it runs."""
    if not isinstance(item, pytest.Function):
        return hasattr(item, "fixturenames")  # a doctest has getfixture
    return "request" in inspect.signature(item.function).parameters or any(map(_may_ask, _known_fixtures(item)))


def asks_for_ours(item: pytest.Item) -> bool:
    """Tell whether the code of a test, or of a fixture that it may get, names one of our fixtures."""
    seen: set[str] = set()

    def reaches_ours(names: Iterable[str]) -> bool:
        new = [name for name in dict.fromkeys(names) if name not in seen]
        seen.update(new)
        found = itertools.chain.from_iterable(_closest(item, name) for name in new)
        return BACKEND in new or any(reaches_ours([*each.argnames, *_asked_for(each.func)]) for each in found)

    parameters = getattr(getattr(item, "callspec", None), "params", {})
    by_test = _asked_for(getattr(item, "function", None), *parameters.values())
    return reaches_ours(by_test.union(*(_asked_for(each.func) for each in _known_fixtures(item))))


def _known_fixtures(item: pytest.Item) -> Iterator[pytest.FixtureDef[Any]]:
    """Yield the fixtures that pytest knows beforehand that a test gets."""
    for name in getattr(item, "fixturenames", ()):
        yield from _closest(item, name)


def _may_ask(fixture: pytest.FixtureDef[Any]) -> bool:
    """Tell whether a fixture takes ``request``, and not for its parameter alone."""
    if "request" not in fixture.argnames or str(getattr(fixture.func, "__module__", "")).startswith(_OF_NO_USER):
        return False
    return fixture.params is None or _calls_for_fixtures(_codes_of(fixture.func))


def _closest(item: pytest.Item, name: str) -> Iterator[pytest.FixtureDef[Any]]:
    """Yield the fixture that a test gets by a name, and the overridden ones that this fixture takes itself."""
    manager: Any = getattr(item.session, "_fixturemanager", None)
    if manager is None:
        raise UsageError(gone(internal("pytest.Session._fixturemanager")))
    for fixture in reversed(manager.getfixturedefs(name, item) or ()):
        yield fixture
        if name not in fixture.argnames:
            return


def _asked_for(function: object, *given: object) -> set[str]:
    """Return the texts in ``given`` and in a function that calls ``getfixturevalue``, itself or through another one."""
    codes = _codes_of(function)
    if not _calls_for_fixtures(codes):
        return set()
    return set(_texts([*given, *_globals(function), *(code.co_consts for code in codes)]))


def _calls_for_fixtures(codes: Iterable[CodeType]) -> bool:
    return any("getfixturevalue" in code.co_names for code in codes)


def _codes_of(function: object) -> list[CodeType]:
    """Return the code of a function, with that of the functions that it calls."""
    called = [value for value in _globals(function) if isinstance(value, FunctionType)]
    return [code for each in (_original(function), *called) for code in _codes(getattr(each, "__code__", None))]


def _globals(function: object) -> list[object]:
    """Return the values of the global names in a function."""
    original = _original(function)
    known = getattr(original, "__globals__", {})
    names = (name for code in _codes(getattr(original, "__code__", None)) for name in code.co_names)
    return [known[name] for name in names if name in known]


def _original(function: object) -> object:
    return inspect.unwrap(function) if callable(function) else function


def _codes(code: object) -> Iterator[CodeType]:
    """Yield a function's code, and that of the functions within it."""
    if isinstance(code, CodeType):
        yield code
        for constant in code.co_consts:
            yield from _codes(constant)


def _texts(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, (tuple, list, set, frozenset)):
            yield from _texts(value)
