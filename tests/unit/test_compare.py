"""``cpuaccel compare``: which figures of two runs it sets against each other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pytest_cpuaccel.cli.main import USAGE_MISTAKE, main
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.report.comparison import NamedReport, ReportComparison
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.saved import SavedReport


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")


MACHINE = {"cpu": "A CPU", "isa": ["avx2"], "threads": 1, "versions": ["torch 2.8.0"]}


def result(p50_ms: float, ratio: float, test: str = "t.py::test_it[ort]") -> dict[str, object]:
    interval = {"ratio": ratio, "ratio_low": ratio * 0.98, "ratio_high": ratio * 1.02}
    latency = {"verdict": "PASS", "vs": "eager", "p50_ns": p50_ms * 1e6, "pairs_ns": [[1, 2]], **interval}
    return {"test": test, "outcome": "passed", "model": "Mlp", "backend": "ort", "call": "forward", "latency": latency}


def write(path: Path, *results: object, **machine: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schema": 1, "environment": MACHINE | machine, "results": results}))
    return str(path)


def compared(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["compare", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def test_two_reports_of_one_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write(tmp_path / "a.json", result(10, 0.5))
    after = write(tmp_path / "b.json", result(12, 0.6), versions=["torch 2.9.0"])
    lines = compared(capsys, before, after)
    assert lines[0] == "torch: 2.8.0 -> 2.9.0"
    assert cells(lines[-1])[-4:] == ["12.0 ms", "1.20x", "1.20x [1.15, 1.25]", "PASS -> PASS"]


def test_times_of_two_cpus_are_not_compared_and_ratios_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write(tmp_path / "a.json", result(10, 0.5))
    lines = compared(capsys, before, write(tmp_path / "b.json", result(12, 0.6), cpu="Another"))
    assert "times are not compared" in lines[0]
    assert cells(lines[-1])[-3:-1] == ["-", "1.20x [1.15, 1.25]"]


def test_with_other_instructions_nothing_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write(tmp_path / "a.json", result(10, 0.5))
    lines = compared(capsys, before, write(tmp_path / "b.json", result(12, 0.6), isa=[]))
    assert cells(lines[-1])[-3:-1] == ["-", "-"]


def test_what_one_run_lacks_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write(tmp_path / "a.json", result(10, 0.5, "t.py::test_old[ort]"))
    lines = compared(capsys, before, write(tmp_path / "b.json", result(12, 0.6)))
    assert [cells(line)[-1] for line in lines[-2:]] == ["PASS -> absent", "absent -> PASS"]


def test_baselines_go_by_name_and_by_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "main" / "baseline.json", result(10, 0.5))
    folder = f"--baselines-dir={tmp_path}"
    assert "1.00x" in compared(capsys, "main", str(tmp_path / "main"), folder)[-1]
    assert main(["compare", "main", "mian", folder]) == USAGE_MISTAKE
    assert capsys.readouterr().err.endswith("there are: main\n")


def test_a_baseline_goes_before_a_file_of_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "baselines" / "main" / "baseline.json", result(10, 0.5))
    (tmp_path / "main").touch()
    monkeypatch.chdir(tmp_path)
    assert "1.00x" in compared(capsys, "main", "main", "--baselines-dir=baselines")[-1]


def test_a_path_that_leads_nowhere_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert main(["compare", nowhere, nowhere]) == USAGE_MISTAKE
    assert capsys.readouterr().err == f"cpuaccel compare: {nowhere}: No such file or directory\n"


@pytest.mark.parametrize("text", ["{", "[" * 200_000, "1" * 5000])
def test_a_damaged_report_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    assert main(["compare", str(path), str(path)]) == USAGE_MISTAKE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"cpuaccel compare: {path}: is damaged, or no report in JSON: ")


def test_a_narrow_terminal_gets_a_folded_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    test = "tests/t.py::test_a_model_of_a_rather_long_name[ort]"
    before = write(tmp_path / "a.json", result(10, 0.5, test))
    lines = compared(capsys, before, write(tmp_path / "b.json", result(12, 0.6, test)))
    table = lines[lines.index("") + 1 :]
    assert max(map(len, table)) <= 80
    assert cells(table[0]) == ["p50 before", "p50 after", "as long", "by ratio"]
    assert " ".join(table[2:-1]).replace("     ", " ") == f"{test}, Mlp, forward: PASS -> PASS"
    assert cells(table[-1]) == ["10.0 ms", "12.0 ms", "1.20x", "1.20x [1.15, 1.25]"]


def test_a_file_compared_with_itself_has_two_headings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.json", result(10, 0.5))
    lines = compared(capsys, path, path)
    assert lines[:2] == [f"before: {path}", f"after: {path}"]
    assert cells(lines[2])[3:5] == ["p50 before", "p50 after"]


@pytest.mark.parametrize(("allowed", "code"), [("25%", 0), ("5%", 1)])
def test_a_longer_latency_fails_above_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], allowed: str, code: int
) -> None:
    before, after = write(tmp_path / "a.json", result(10, 0.5)), write(tmp_path / "b.json", result(12, 0.5))
    assert main(["compare", before, after, f"--fail-above={allowed}"]) == code
    last = capsys.readouterr().out.splitlines()[-1]
    failed = "FAIL t.py::test_it[ort], Mlp, forward: 1.20x as long, allowed 1.05x"
    assert last == (failed if code else "1 latency compared, all within 1.25x")


def test_nothing_to_compare_is_no_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write(tmp_path / "a.json", result(10, 0.5))
    after = write(tmp_path / "b.json", result(10, 0.5), cpu="Another")
    assert main(["compare", before, after, "--fail-above=5%"]) == USAGE_MISTAKE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cpuaccel compare: --fail-above: no time can be compared")


def test_a_limit_without_a_unit_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", "a", "b", "--fail-above=5"])
    assert ended.value.code == USAGE_MISTAKE
    assert "'5' has no unit; write \"5%\"" in capsys.readouterr().err


def test_kernels_are_compared_below_the_table() -> None:
    def named(name: str, count: int) -> NamedReport:
        census = KernelCensus("a profiler", (Kernel("ReorderOutput", count),))
        row = Row("t.py::test_it[ort]", "passed", Result("Mlp", "ort", "forward", (), census))
        return NamedReport(name, SavedReport("A CPU", ("avx2",), 1, {}, (row,)))

    lines = [*ReportComparison(named("a", 6), named("b", 1)).lines()]
    assert lines[-2:] == ["kernels of t.py::test_it[ort], Mlp, forward:", "    ReorderOutput 6 -> 1"]
