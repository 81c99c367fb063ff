"""The environment that a user names: a virtual environment's folder or a Python, or one line that tells the fault."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.environments.interpreter import ask, interpreter_at


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def refusal_of(given: str, folder: Path) -> str:
    with pytest.raises(UsageError) as refusal:
        interpreter_at(given, folder)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_program_and_a_folder_relative_to_the_current_one_are_found(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    python = tmp_path / "venv" / "bin" / "python"
    python.symlink_to(sys.executable)
    (tmp_path / "here").mkdir()
    found = interpreter_at("../venv", tmp_path / "here")
    assert found.python == python  # the link itself: what it leads to is another environment
    assert found.version == sys.version_info[:3]
    assert interpreter_at(str(python), tmp_path).python == python


def test_what_is_no_environment_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no program")
    assert "--cpu-against-env=gone: there is no" in refusal_of("gone", tmp_path)
    assert "has no bin/python" in refusal_of("empty", tmp_path)
    assert "can't be run" in refusal_of("text", tmp_path)


def test_a_program_that_is_no_python_is_refused_with_its_last_line(tmp_path: Path) -> None:
    program(tmp_path / "tool", "echo one >&2; echo unknown option >&2; exit 2")
    assert "no Python that works here: unknown option" in refusal_of("tool", tmp_path)


def test_an_old_python_is_refused_with_both_versions(tmp_path: Path) -> None:
    program(tmp_path / "old/bin/python", """echo '{"version": [3, 9, 1], "base": "/usr/bin/python", "folders": []}'""")
    assert refusal_of("old", tmp_path).endswith("this is Python 3.9.1, and 3.10 or newer is needed")


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(1)")
    assert ask(Path(sys.executable), "import json; print(json.dumps([1]))", {}, tmp_path) == [1]
