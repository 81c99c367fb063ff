"""A side gets the session's command line without what writes, selects or starts processes."""

from __future__ import annotations

import pytest

from pytest_cpuaccel.plugin.side_arguments import ARGUMENTS, arguments_for_sides, side_arguments


def given_to_side(pytester: pytest.Pytester, *arguments: str) -> list[str]:
    config = pytester.parseconfig(*arguments)
    return list(side_arguments(config, pytester.path / "scratch"))


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["tests", "--junitxml=x.xml", "-q"], ["tests", "-q"]),
        (["--junitxml", "x.xml", "tests"], ["tests"]),
        (["--lf", "tests"], ["tests"]),
        (["-x", "tests", "-k", "a or b"], ["tests", "-k", "a or b"]),
        (["--maxfail", "2", "tests"], ["tests"]),
        (["--cpu-against-env=../old", "--cpu-report=a.json", "--cpu-backends=ort"], ["--cpu-backends=ort"]),
        (["--cpu-against-packages", "onnxruntime==1.22.1", "--cpu-threads=2"], ["--cpu-threads=2"]),
        (["--basetemp=t", "-p", "no:randomly"], ["-p", "no:randomly"]),
    ],
)
def test_what_is_kept(pytester: pytest.Pytester, arguments: list[str], kept: list[str]) -> None:
    pytester.mkdir("tests")
    found = given_to_side(pytester, *arguments)
    assert found[: len(kept)] == kept
    assert "addopts=" in found[len(kept) :]
    assert f"--basetemp={pytester.path / 'scratch' / 'tmp'}" in found


def test_addopts_go_the_same_way(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\naddopts = -q --junitxml=x.xml --strict-markers")
    found = given_to_side(pytester)
    assert found[:2] == ["-q", "--strict-markers"]


def test_a_worker_of_xdist_has_them_from_its_controller(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    controller = pytester.parseconfig("tests", "-n", "2", "--cpu-backends=ort", "-k", "a")
    told = arguments_for_sides(controller)
    worker = pytester.parseconfig("tests")
    worker.workerinput = {ARGUMENTS: told}  # type: ignore[attr-defined]
    found = side_arguments(worker, pytester.path)
    assert list(found[: len(told)]) == told == ["tests", "--cpu-backends=ort", "-k", "a"]
