"""Names of other packages that may go: each is there, is listed, and is told of in one line where it is gone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from packaging.version import Version

import pytest_cpuaccel
from pytest_cpuaccel.backends.registry import BUILTIN
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.core import internals
from pytest_cpuaccel.core.backend import Backend, Requirement
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.internals import EVERY_RUN, INTERNALS, Internal, check_internals, gone

ROOT = Path(pytest_cpuaccel.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "third-party-internals.md"
OF_A_SESSION = "pytest.Session."
UNLISTED = {"_fields", "_C", "_functorch", "_redirections"}
"""What named tuples have, which is documented; modules on the way to what is listed; and what some finders of editable
installs have."""


def row(entry: Internal) -> str:
    by = "every run" if entry.backends == EVERY_RUN else ", ".join(f"`{name}`" for name in entry.backends)
    without = entry.without or "one line says so"
    return f"| `{entry.path}` | {entry.distribution} {entry.seen} | {entry.serves} | {by} | {without} |"


def is_due(entry: Internal) -> bool:
    """Whether the table says that the installed release has this; a later one than those that it names counts too."""
    if entry.distribution == "Python":
        return True
    installed = Requirement(entry.distribution).installed
    if installed is None or not any(unmet_requirement(backend) is None for backend in served(entry)):
        return False
    version, seen = Version(Version(installed).public), [Version(item) for item in entry.seen.split(", ")]
    return version in seen or version > max(seen)


def served(entry: Internal) -> list[Backend]:
    return [backend for backend in BUILTIN if any(fnmatchcase(backend.name, name) for name in entry.backends)]


@pytest.mark.parametrize("entry", INTERNALS, ids=lambda entry: entry.path)
def test_the_installed_release_has_it(entry: Internal, request: pytest.FixtureRequest) -> None:
    if not is_due(entry):
        pytest.skip(f"{entry.distribution} is not installed in a release that has it")
    own = entry.path.removeprefix(OF_A_SESSION)
    found = hasattr(request.session, own) if own != entry.path else entry.is_there()
    assert found, gone(entry)


@pytest.mark.parametrize("entry", INTERNALS, ids=lambda entry: entry.path)
def test_the_page_shows_it(entry: Internal) -> None:
    assert row(entry) in PAGE.read_text().splitlines()


def test_the_page_shows_no_other() -> None:
    assert PAGE.read_text().count("\n| `") == len(INTERNALS)


def test_the_code_names_no_other_private_name() -> None:
    trees = [ast.parse(path.read_text()) for path in ROOT.rglob("*.py") if path.name != "internals.py"]
    ours = {name for tree in trees for name in defined(tree)}
    listed = {part for entry in INTERNALS for part in entry.path.split(".")}
    named = {name for tree in trees for name in private_names(tree)}
    assert named - ours - listed - UNLISTED == set()


def defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg


def private_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom) and not str(node.module).startswith("pytest_cpuaccel"):
            names = [*str(node.module).split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr", "setattr"):
            names = [str(item.value) for item in node.args[1:2] if isinstance(item, ast.Constant)]
        else:
            names = []
        yield from (name for name in names if name.startswith("_") and not name.startswith("__"))


LOST = Internal("pytest", "pytest.Session.lost", "find what was lost", "9.0", backends=("half",))


def test_what_is_gone_is_told_in_one_line_to_those_who_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(internals, "INTERNALS", (LOST,))
    check_internals()
    check_internals("quarter")
    with pytest.raises(BuildError) as refusal:
        check_internals("half")
    assert str(refusal.value) == (
        f"pytest {pytest.__version__} has no pytest.Session.lost, which is needed to find what was lost; "
        "it was seen in pytest 9.0: install one of these releases"
    )


def test_what_can_be_done_without_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    left_out = Internal("pytest", "pytest.Session.lost", "find what was lost", "9.0", without="it stays lost")
    monkeypatch.setattr(internals, "INTERNALS", (left_out,))
    check_internals()


def test_packages_that_are_not_imported_are_not_imported_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(internals, "INTERNALS", (Internal("no-such", "no_such.name", "do nothing", "1.0"),))
    check_internals()
