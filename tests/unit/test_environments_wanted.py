"""What the options say: requirements one by one, and names for sentences."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.environments.wanted import Wanted, environment_for, requirements_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("onnxruntime==1.22.1", ["onnxruntime==1.22.1"]),
        ("onnxruntime == 1.22.1", ["onnxruntime == 1.22.1"]),
        ("one==1  two>=2,<3", ["one==1", "two>=2,<3"]),
        ("one[extra]; python_version > '3'", ["one[extra]; python_version > '3'"]),
        ("one @ https://example.org/one.zip", ["one @ https://example.org/one.zip"]),
        ("https://example.org/one-1-py3-none-any.whl two", ["https://example.org/one-1-py3-none-any.whl", "two"]),
    ],
)
def test_requirements_are_told_apart(text: str, expected: list[str], tmp_path: Path) -> None:
    assert list(requirements_in(text, tmp_path)) == expected


def test_a_wheel_is_one_of_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "one-1-py3-none-any.whl").touch()
    assert requirements_in("./one-1-py3-none-any.whl", tmp_path) == (str(tmp_path / "one-1-py3-none-any.whl"),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-r requirements.txt", "-r is an option of pip"),
        ("one --index-url=x", "--index-url=x is an option of pip"),
        ("one==", "one== is no requirement"),
        ("gone.whl", "there is no wheel gone.whl"),
        (" ", "this names no package"),
    ],
)
def test_what_is_no_requirement_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        requirements_in(text, tmp_path)
    assert reason in str(refusal.value)


def test_nothing_wanted_is_this_environment(tmp_path: Path) -> None:
    with environment_for(Wanted(), tmp_path, tmp_path / "cache", nullcontext) as environment:
        assert environment.name == "this environment"
        assert environment.folder == tmp_path
    assert not (tmp_path / "cache").exists()
