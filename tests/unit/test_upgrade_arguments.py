"""The command line of ``cpuaccel upgrade``: its own options, packages, and what pytest gets."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pytest_cpuaccel.cli import upgrade
from pytest_cpuaccel.core.errors import UsageError


def parsed(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    upgrade.add(parser.add_subparsers(dest="command"))
    return upgrade.parsed(parser, ["upgrade", *given])


def test_what_stands_after_two_dashes_is_for_pytest() -> None:
    found = parsed("onnxruntime==1.31.1", "numpy<3", "--bisect", "--", "tests", "-k", "a", "--", "b")
    assert found.packages == ["onnxruntime==1.31.1", "numpy<3"]
    assert found.own == ["tests", "-k", "a", "--", "b"]
    assert found.bisect


def test_packages_are_compulsory(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("--", "tests")
    assert ended.value.code == 2
    assert "required: PACKAGE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("own", "reports"),
    [
        (["tests", "-q"], []),
        (["--cpu-report=a.html,b.md", "tests", "-q"], ["a.html,b.md"]),
        (["tests", "--cpu-report", "a.html", "-q"], ["a.html"]),
    ],
)
def test_reports_that_the_user_asks_for_are_told_from_other_arguments(own: list[str], reports: list[str]) -> None:
    assert upgrade._with_reports(own) == (["tests", "-q"], reports)


def test_a_checkpoint_has_a_test_of_its_own(tmp_path: Path) -> None:
    found = list(upgrade._of_checkpoint(parsed("--gate", str(tmp_path), "numpy", "--", "-q"), tmp_path))
    assert Path(found[0]).read_text().count(repr(str(tmp_path))) == 1
    compile(Path(found[0]).read_text(), found[0], "exec")
    assert "--cpu-backends=ort,openvino" in found
    chosen = list(upgrade._of_checkpoint(parsed("--gate", str(tmp_path), "x", "--", "--cpu-backends=ort"), tmp_path))
    assert [word for word in chosen if "backends" in word] == ["--cpu-backends=ort"]


def test_a_checkpoint_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        list(upgrade._of_checkpoint(parsed("--gate", str(tmp_path / "no"), "numpy"), tmp_path))


def test_each_argument_is_one_package() -> None:
    with pytest.raises(UsageError, match=r"^'onnx runtime' names several packages; write each as an argument"):
        upgrade.run(parsed("numpy >= 2", "onnx runtime"))
