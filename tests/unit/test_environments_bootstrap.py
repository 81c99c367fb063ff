"""pytest started in another environment: which code it runs, with this session's plugin and nothing else of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import types
import venv
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from pytest_cpuaccel.environments.bootstrap import ENTRY_POINT, NOT_STARTED, PLUGIN, move_imports, moved_path
from pytest_cpuaccel.environments.companion import Companion, make_companion
from pytest_cpuaccel.environments.environment import Environment, here
from pytest_cpuaccel.environments.imported import imported_from_elsewhere

TEST = f"""
import json, sys
from importlib import metadata
import pytest

def test(request):
    manager, plugin = request.config.pluginmanager, sys.modules["{PLUGIN}"]
    facts = {{
        "plugin": plugin.__file__,
        "names": [name for name, found in manager.list_name_plugin() if found is plugin],
        "pytest": pytest.__file__,
        "path": sys.path,
        "versions": [metadata.version(name) for name in ("filelock", "tabulate")],
        "serves": manager.has_plugin("serving"),
    }}
    open("facts.json", "w").write(json.dumps(facts))
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    suite = tmp_path / "suite"
    (suite / "tests").mkdir(parents=True)
    (suite / "tests" / "test_it.py").write_text(TEST)
    (suite / "serving.py").touch()
    return suite


@pytest.fixture
def companion(tmp_path: Path) -> Companion:
    return replace(make_companion(tmp_path / "companion"), as_module=False)


def run(environment: Environment, companion: Companion) -> subprocess.CompletedProcess[str]:
    command = environment.command(companion, ["-p", "no:cacheprovider", "tests"])
    variables = {**os.environ, **environment.variables(), "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, cwd=environment.folder, env=variables, capture_output=True, text=True, check=False)


def facts_of(environment: Environment, companion: Companion) -> dict[str, Any]:
    ended = run(environment, companion)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found: dict[str, Any] = json.loads((environment.folder / "facts.json").read_text())
    return found


def test_this_sessions_plugin_is_loaded_once(suite: Path, companion: Companion) -> None:
    facts = facts_of(here(suite), companion)
    assert Path(facts["plugin"]).is_relative_to(companion.ours)
    assert facts["names"] == [ENTRY_POINT if companion.has_entry_point else PLUGIN]
    assert facts["pytest"] == pytest.__file__
    assert str(suite) not in facts["path"]
    assert not any(path.endswith("environments") for path in facts["path"])
    assert not list(suite.rglob("__pycache__"))


def test_an_environment_without_plugin_and_pytest_has_them_brought_along(
    suite: Path, companion: Companion, tmp_path: Path
) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    packages = next((tmp_path / "bare").glob("lib/*/site-packages"))
    for name, version in (("filelock", "3.0"), ("tabulate", "99.0")):
        (packages / f"{name}-{version}.dist-info").mkdir()
        (packages / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    bare = Environment("bare", tmp_path / "bare" / "bin" / "python", suite)
    facts = facts_of(bare, replace(companion, as_module=True, serves="serving"))
    assert Path(facts["pytest"]).is_relative_to(companion.needs)
    assert facts["serves"]
    assert facts["versions"] == [metadata.version("filelock"), "99.0"]  # the plugin needs a newer one than 3.0
    assert facts["path"].index(str(companion.ours)) < facts["path"].index(str(suite))
    assert facts["path"][-1] == str(companion.needs)
    assert sysconfig.get_path("purelib") not in facts["path"]


def test_without_an_entry_point_the_plugin_is_loaded_by_option(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "entry_points", lambda **_: ())
    assert facts_of(here(suite), make_companion(tmp_path / "companion"))["names"] == [PLUGIN]


def test_an_environment_whose_pytest_is_too_old_is_told_in_one_line(suite: Path, companion: Companion) -> None:
    ended = run(here(suite), replace(companion, least_pytest="999.1"))
    assert ended.returncode == NOT_STARTED
    assert f"its pytest {pytest.__version__} is older than 999.1" in ended.stderr.splitlines()[-1]


def test_nothing_compiled_is_brought_along(companion: Companion) -> None:
    assert (companion.needs / "pytest").exists()
    assert not (companion.needs / "numpy").exists()
    assert not list(companion.needs.rglob("*.so"))


def test_paths_of_the_users_tree_are_those_of_the_checkout(tmp_path: Path) -> None:
    tree, checkout = tmp_path / "tree", tmp_path / "tree" / ".cache" / "checkout"
    (tree / ".venv" / "lib").mkdir(parents=True)
    (tree / ".venv" / "pyvenv.cfg").touch()
    (tree / "vendored" / "a-1.dist-info").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tree)
    moved = [(str(tree), str(checkout))]
    assert moved_path(str(tree), moved) == str(checkout)
    assert moved_path(str(tree / "src"), moved) == str(checkout / "src")
    assert moved_path(str(tmp_path / "link" / "src"), moved) == str(checkout / "src")
    for kept in (tree / ".venv" / "lib", tree / "vendored", checkout / "src", tmp_path / "tree-2", tmp_path):
        assert moved_path(str(kept), moved) == str(kept)


def test_editable_installs_lead_into_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree, checkout = tmp_path / "tree", tmp_path / "checkout"
    finder = types.ModuleType("__editable___demo_finder")
    finder.__dict__["MAPPING"] = {"demo": f"{tree}/src/demo", "one": f"{tree}/one.py", "other": f"{tree}/lib"}
    finder.__dict__["NAMESPACES"] = {"space": [f"{tree}/src/space", "/elsewhere"]}
    redirecting = types.SimpleNamespace(_redirections={"exact": f"{tree}/pkgs/exact/__init__.py"})
    monkeypatch.setitem(sys.modules, finder.__name__, finder)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, redirecting])
    monkeypatch.setattr(sys, "path", ["", f"{tree}/flat", "/elsewhere"])
    move_imports([(str(tree), str(checkout))])
    found = finder.__dict__
    assert found["MAPPING"] == {"demo": f"{checkout}/src/demo", "one": f"{checkout}/one.py", "other": f"{checkout}/lib"}
    assert found["NAMESPACES"] == {"space": [f"{checkout}/src/space", "/elsewhere"]}
    assert redirecting._redirections == {"exact": f"{checkout}/pkgs/exact/__init__.py"}
    roots = [f"{checkout}/src", str(checkout), f"{checkout}/pkgs"]
    assert sys.path == ["", f"{checkout}/flat", "/elsewhere", *roots]


def test_what_is_imported_from_the_users_tree_all_the_same_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, checkout = tmp_path / "tree", tmp_path / "checkout"
    for name, path in (("today", tree / "a.py"), ("then", checkout / "a.py"), ("pytest_cpuaccel.x", tree / "x.py")):
        module = types.ModuleType(name)
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, name, module)
    assert imported_from_elsewhere([(tree, checkout)]) == ["today"]


@pytest.mark.parametrize("root", ["", "src"])
def test_a_copy_that_is_installed_in_place_of_the_checkout_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    tree, checkout, installed = (tmp_path / name for name in ("tree", "checkout", "site-packages"))
    for folder in (checkout / root, installed):
        (folder / "own").mkdir(parents=True)
        for name in ("__init__.py", "net.py"):
            (folder / "own" / name).touch()
    for name, path in (
        ("own", installed / "own" / "__init__.py"),
        ("own.net", installed / "own" / "net.py"),
        ("own.compiled", installed / "own" / "compiled.so"),
        ("other", installed / "other.py"),
    ):
        module = types.ModuleType(name)
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, name, module)
    assert imported_from_elsewhere([(tree, checkout)]) == ["own", "own.net"]


def test_a_folder_of_links_to_an_editable_project_leads_to_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, checkout = tmp_path / "tree", tmp_path / "checkout"
    (checkout / "flat").mkdir(parents=True)
    (checkout / "lib" / "src").mkdir(parents=True)
    links = [f"{tree}/{project}/build/__editable__.{project}-1.0-py3-none-any" for project in ("flat", "lib")]
    monkeypatch.setattr(sys, "path", links)
    move_imports([(str(tree), str(checkout))])
    assert sys.path == [f"{checkout}/flat", f"{checkout}/lib/src"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{tree}/test_a.py::test[x/y]", "{checkout}/test_a.py::test[x/y]"),
        ("--rootdir={tree}", "--rootdir={checkout}"),
        ("tests/test_a.py", "tests/test_a.py"),
        ("-k", "-k"),
        ("/elsewhere/test_a.py", "/elsewhere/test_a.py"),
    ],
)
def test_arguments_with_paths_lead_into_the_checkout(
    given: str, expected: str, tmp_path: Path, companion: Companion
) -> None:
    tree, checkout = tmp_path / "tree", tmp_path / "checkout"
    environment = Environment("then", Path(sys.executable), checkout, ((tree, checkout),))
    command = environment.command(companion, [given.format(tree=tree)])
    assert command[-1] == expected.format(checkout=checkout)
    assert command[0] == sys.executable
