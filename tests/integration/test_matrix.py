"""The support matrix: every cell gets a true word, whatever a backend does."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_cpuaccel.backends.registry import BUILTIN
from pytest_cpuaccel.cli import main as cli
from pytest_cpuaccel.cli import matrix as command
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.support_matrix.cell import Cell, Status, without_folders
from pytest_cpuaccel.support_matrix.run import matrix
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES
from tests import misbehaving

HANG_S = 40.0
"""Long beside what a good cell takes, even on a machine that is busy."""


@pytest.fixture(scope="module")
def cells() -> dict[str, Cell]:
    """One cell under each misbehaving backend, and under a good one after them all."""
    backends = (
        misbehaving.OFF_BY_ONE,
        misbehaving.REFUSING,
        misbehaving.ONE_SHAPE,
        misbehaving.RAISING,
        misbehaving.DYING,
        misbehaving.HANGING,
        misbehaving.GOOD,
    )
    mlp = [item for item in ARCHITECTURES if item.name == "mlp"]
    found = list(matrix([(item, backends) for item in mlp], timeout_s=HANG_S, jobs=1))
    assert [cell.backend for cell in found] == [backend.name for backend in backends]
    return {cell.backend: cell for cell in found}


def test_another_answer_than_eagers_is_wrong(cells: dict[str, Cell]) -> None:
    assert cells["off-by-one"].status is Status.WRONG
    assert "'output' is off by a relative RMSE" in cells["off-by-one"].reason


def test_a_refusal_is_unsupported_with_its_reason(cells: dict[str, Cell]) -> None:
    assert cells["refusing"].status is Status.UNSUPPORTED
    assert cells["refusing"].reason == "upstream has no kernel for aten::gelu"


def test_a_refusal_of_another_shape_is_a_limit(cells: dict[str, Cell]) -> None:
    assert cells["one-shape"].status is Status.LIMITED
    assert cells["one-shape"].reason == "another shape: takes a batch of 2, no other"


def test_an_error_that_nobody_foresaw_is_a_crash(cells: dict[str, Cell]) -> None:
    assert cells["raising"].status is Status.CRASH
    assert "KeyError: 'lost_key'" in cells["raising"].reason


def test_a_killed_process_is_a_crash_with_the_signal_and_the_last_words(cells: dict[str, Cell]) -> None:
    assert cells["dying"].status is Status.CRASH
    assert cells["dying"].reason.startswith("killed by SIGABRT: terminate called")


def test_a_hang_is_a_crash(cells: dict[str, Cell]) -> None:
    assert cells["hanging"].status is Status.CRASH
    assert cells["hanging"].reason == "hangs: no answer within 40 s"


def test_what_comes_after_a_crash_is_measured_all_the_same(cells: dict[str, Cell]) -> None:
    assert cells["good"].status is Status.RIGHT


def test_the_command_writes_what_it_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, page = tmp_path / "matrix.json", tmp_path / "matrix.md"
    options = ["--backends", "eager,bf16", "--json", str(results), "--page", str(page)]
    assert cli.main(["matrix", "--architectures", "mlp", *options]) == 0
    assert cli.main(["matrix", "--architectures", "cn?,mlp", "--missing", *options]) == 0
    kept = json.loads(results.read_text())["cells"]
    assert [(cell["architecture"], cell["backend"], cell["status"]) for cell in kept] == [
        ("mlp", "eager", "right"),
        ("mlp", "bf16", "right"),
        ("cnn", "eager", "right"),
        ("cnn", "bf16", "right"),
    ]
    assert [line.split()[:3] for line in capsys.readouterr().err.splitlines()] == [
        [cell["architecture"], cell["backend"], cell["status"]] for cell in kept
    ]
    assert [row.replace(" ", "") for row in page.read_text().splitlines() if row.startswith("| bf16")] == [
        "|bf16|yes|yes|"
    ]


@pytest.mark.parametrize("status", [Status.WRONG, Status.CRASH])
def test_the_exit_code_tells_of_a_bad_cell(monkeypatch: pytest.MonkeyPatch, status: Status) -> None:
    monkeypatch.setattr(command, "matrix", lambda *_, **__: iter([Cell("mlp", "eager", status)]))
    assert cli.main(["matrix", "--architectures", "mlp", "--backends", "eager"]) == 1


@pytest.mark.parametrize("status", [Status.RIGHT, Status.LIMITED, Status.UNSUPPORTED])
def test_a_cell_that_tells_the_truth_is_no_failure(monkeypatch: pytest.MonkeyPatch, status: Status) -> None:
    monkeypatch.setattr(command, "matrix", lambda *_, **__: iter([Cell("mlp", "eager", status)]))
    assert cli.main(["matrix", "--architectures", "mlp", "--backends", "eager"]) == 0


def test_a_reason_tells_no_folder_of_this_machine(tmp_path: Path) -> None:
    assert without_folders(f"can't load {tmp_path}/model.onnx: node") == "can't load model.onnx: node"
    names = "no initializer /encoder/conv/Mul_0, see https://a.b/c"
    assert without_folders(names) == names


def test_an_interrupted_run_keeps_what_it_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: Any, **__: Any) -> Iterator[Cell]:
        yield Cell("mlp", "eager", Status.RIGHT)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "matrix", interrupted)
    results, page = tmp_path / "matrix.json", tmp_path / "matrix.md"
    assert cli.main(["matrix", "--backends", "eager", "--json", str(results), "--page", str(page)]) == 130
    assert [cell["architecture"] for cell in json.loads(results.read_text())["cells"]] == ["mlp"]
    assert "| eager" in page.read_text()


def test_a_terminated_run_leaves_the_page_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "matrix.md"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = Path(sys.executable).with_name("cpuaccel")
    chosen = ["--architectures", "mlp", "--backends", "eager,bf16,autocast-bf16,torch-int8", "--page", str(page)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen([command, "matrix", *chosen], stderr=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stderr
        assert run.stderr.readline().split()[:3] == ["mlp", "eager", "right"]
        run.terminate()
        assert run.wait() == cli.TERMINATED
    assert "| eager" in page.read_text()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--architectures", "brt"], "no architecture named 'brt'; did you mean 'bert'?"),
        (["--backends", "onnxruntime"], "no backend named 'onnxruntime'; did you mean 'ort'?"),
        (["--page", "/no/such/folder/page.md"], "no folder '/no/such/folder'"),
        (["--json", "/no/such/folder/cells.json"], "no folder '/no/such/folder'"),
    ],
)
def test_a_mistake_is_one_line(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["matrix", *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_file_that_is_no_matrix_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"mine": 1}')
    assert cli.main(["matrix", "--backends", "eager", "--json", str(other)]) == 2
    assert "is no matrix" in capsys.readouterr().err
    assert other.read_text() == '{"mine": 1}'


@pytest.mark.parametrize("backend", BUILTIN, ids=lambda backend: backend.name)
def test_every_backend_can_be_sent_to_another_process(backend: Backend) -> None:
    assert pickle.loads(pickle.dumps(backend)).name == backend.name
