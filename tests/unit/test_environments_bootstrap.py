"""pytest started in another environment: which code it runs, with this session's plugin and nothing else of it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

import pytest_cpuaccel
from pytest_cpuaccel.environments import companion as companions
from pytest_cpuaccel.environments.bootstrap import NOT_STARTED, PLUGIN, move_imports, moved_path
from pytest_cpuaccel.environments.companion import Companion, make_companion
from pytest_cpuaccel.environments.environment import Environment, here
from pytest_cpuaccel.environments.imported import imported_from_here

TEST = """
import json, os, sys
import pytest

def test(request):
    manager = request.config.pluginmanager
    plugin = sys.modules["pytest_cpuaccel.plugin.hooks"]
    facts = {
        "plugin": plugin.__file__,
        "names": [name for name, found in manager.list_name_plugin() if found is plugin],
        "pytest": pytest.__file__,
        "path": sys.path,
        "serves": manager.has_plugin("serving"),
        "argv": sys.argv,
    }
    open("facts.json", "w").write(json.dumps(facts))
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "test_it.py").write_text(TEST)
    (suite / "serving.py").touch()
    return suite


@pytest.fixture
def companion(tmp_path: Path) -> Companion:
    return make_companion(tmp_path / "companion")


def run(
    environment: Environment, companion: Companion, arguments: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    command = environment.command(companion, ["-q", "-p", "no:cacheprovider", *arguments])
    variables = {**os.environ, **environment.variables(), "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, cwd=environment.folder, env=variables, capture_output=True, text=True, check=False)


def facts_of(environment: Environment, companion: Companion, arguments: Sequence[str] = ()) -> dict[str, object]:
    ended = run(environment, companion, arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    import json

    found: dict[str, object] = json.loads((environment.folder / "facts.json").read_text())
    return found
