"""Report files: never half written, and a file that can't be written is told of without an error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report import json_file, whole_file
from pytest_cpuaccel.report.json_file import JsonFile
from pytest_cpuaccel.report.report_files import check_writable
from pytest_cpuaccel.report.step_summary import append_summary
from pytest_cpuaccel.report.whole_file import write_whole
from tests.unit.rows import ENVIRONMENT, RUN, judged, report_of

ROOT = Path(__file__).parents[2]
ROW = judged("t.py::test_it[ort]", ("parity", Outcome.PASS))
WRITES = """
import sys
from pathlib import Path
from pytest_cpuaccel.report.whole_file import write_whole

path = Path(sys.argv[1])
for number in range(10**9):
    write_whole(path, (f"{number}\\n" for _ in range(20_000)))
"""


def results(path: Path) -> list[str]:
    return [result["test"] for result in json.loads(path.read_text())["results"]]


def full(target: Path, *_: object, **__: object) -> None:
    raise OSError(28, "No space left on device", str(target))


def test_a_process_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    process = subprocess.Popen([sys.executable, "-c", WRITES, str(path)], cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while not (path.exists() and path.read_text()[0] != "0") and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    lines = path.read_text().splitlines()
    assert len(lines) == 20_000
    assert len(set(lines)) == 1


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    def parts() -> object:
        yield "half"
        raise OSError(28, "No space left on device")

    path = tmp_path / "r.txt"
    path.write_text("whole")
    with pytest.raises(OSError, match="No space"):
        write_whole(path, parts())  # type: ignore[arg-type]
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("r.txt", "whole")]


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    check_writable([tmp_path / "old.json", tmp_path / "new" / "r.json", Path("/dev/null")], "here")
    assert (tmp_path / "old.json").read_text() == "old"
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("name", ["folder", "file/r.json", f"{'x' * 250}.md"])
def test_what_cannot_be_written_is_found_before_the_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"^here: can't write .*: \w"):
        check_writable([tmp_path / name], "here")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_new_file_is_found_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(UsageError, match="Permission denied"):
            check_writable([tmp_path / "r.json"], "here")
    finally:
        tmp_path.chmod(0o755)


def test_results_outlast_a_disk_that_is_full_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = JsonFile(tmp_path / "r.json", RUN, ENVIRONMENT)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        file.put("a", [ROW])
        assert file.refusal == f"can't write {str(tmp_path / 'r.json')!r}: No space left on device"
    assert results(tmp_path / "r.json") == []
    file.put("b", [ROW])
    assert file.refusal == ""
    assert results(tmp_path / "r.json") == [ROW.test, ROW.test]


def test_a_file_that_takes_long_to_write_is_not_written_after_every_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(json_file.time, "monotonic", lambda: float(next(clock)))
    written: list[Path] = []
    monkeypatch.setattr(json_file, "write_whole", lambda path, _: written.append(path))
    file = JsonFile(tmp_path / "r.json", RUN, ENVIRONMENT)
    for number in range(100):
        file.put(str(number), [ROW])
    assert 2 <= len(written) <= 10
    before = len(written)
    file.finish(RUN)
    assert len(written) == before + 1


def test_a_summary_is_appended_to_what_a_step_wrote_before(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("# mine")
    append_summary(report_of([ROW]), path)
    append_summary(report_of([ROW]), path)
    text = path.read_text()
    assert text.startswith("# mine\n\n## CPU backends")
    assert text.count("\n\n## CPU backends") == 2


def test_a_summary_stays_as_short_as_github_allows(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("x" * 2**19)
    append_summary(report_of([judged(f"t.py::test_{n}[ort]", ("parity", Outcome.PASS)) for n in range(20_000)]), path)
    assert 2**19 < path.stat().st_size <= 2**20
    assert "Left out, since GitHub shows no more than" in path.read_text()


def test_nothing_of_a_name_keeps_a_file_from_being_written(tmp_path: Path) -> None:
    whole_file.write_whole(tmp_path / "r.md", ["\udcff"])
    assert (tmp_path / "r.md").read_bytes() == b"\\udcff"
