"""Settings as the configuration file holds them: text, or the native values of TOML."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NamedTuple

import pytest

from pytest_cpuaccel.core.errors import UsageError

_TABLE: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
"""pytest's table of the configuration file, once a value was found that pytest itself doesn't hand over."""


class Accepted(NamedTuple):
    """The types of a setting in TOML; ``words`` names them in messages."""

    types: tuple[type, ...]
    words: str


TEXT = Accepted((str,), "a string")
LIST = Accepted((str, list), "a string or a list of strings")
FLAG = Accepted((str, bool), "true or false")
NUMBER = Accepted((str, int, float), "a number or a string")

_CALLED: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a table",
}


def is_written(config: pytest.Config, name: str) -> bool:
    """Tell whether the configuration file, or ``-o``, gives a setting."""
    return _value(config, name) is not None


def written_text(config: pytest.Config, name: str, accepted: Accepted) -> str | None:
    """Return a setting as text, the items of a list on lines of their own; None where it isn't given.

    Raises:
        UsageError: the value is of another type, or a list holds anything else than strings with something in them.
    """
    value = _value(config, name)
    if value is None:
        return None
    if type(value) not in accepted.types:
        raise UsageError(f"{_shown(value)} is {_called(value)}; write {accepted.words}")
    if not isinstance(value, list):
        return str(value)
    for item in value:
        if not isinstance(item, str):
            raise UsageError(f"{_shown(item)} in the list is {_called(item)}; write a list of strings")
        if not item.strip():
            raise UsageError(f"{_shown(item)} in the list is empty; leave it out")
    return "\n".join(value)


def declared_type(accepted: Accepted) -> str:
    """Return the type to declare a setting with: the one that takes both a text and a list without a warning."""
    return "linelist" if list in accepted.types else "string"


def _value(config: pytest.Config, name: str) -> Any:
    """Return the value; pytest 9 refuses any native one but the declared type, so it is then read from the file."""
    try:
        return config.getini(name)
    except (TypeError, Warning, pytest.UsageError):
        return _table(config)[name]


def _table(config: pytest.Config) -> dict[str, Any]:
    if _TABLE not in config.stash:
        assert config.inipath is not None  # what stands on the command line is text, which is never refused
        toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
        document = toml.loads(config.inipath.read_text(encoding="utf-8"))
        table = document["pytest"] if "pytest" in document else document["tool"]["pytest"]
        config.stash[_TABLE] = {**table.get("ini_options", {}), **table}
    return config.stash[_TABLE]


def _called(value: object) -> str:
    return _CALLED.get(type(value), f"a {type(value).__name__}")


def _shown(value: object) -> str:
    """Return a value much as TOML writes it, on one line."""
    import json

    return json.dumps(value, default=str, ensure_ascii=False)
