"""What a run leaves to read: the table, JSON, Markdown, HTML, JUnit."""

from __future__ import annotations

import itertools
import json
import math
import re
import uuid
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.integration.conftest import ROOT

TESTS = """
import json
from pathlib import Path

import pytest, torch

@pytest.mark.parity
def test_small(cpu_model):
    cpu_model(torch.ones(2, 16))

@pytest.mark.parity
@pytest.mark.latency_budget(p50="10 s")
def test_timed(cpu_model):
    cpu_model(torch.ones(3, 16))
"""


@pytest.fixture
def reporting(mlp_project: pytest.Pytester) -> pytest.Pytester:
    mlp_project.makepyfile(test_it=TESTS)
    return mlp_project


def run(project: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Run the project; under xdist in a process of its own, whose workers have the path it was started with."""
    if not {"-n1", "-n2"} & {*args}:
        return project.runpytest_inprocess(*args)
    pytest.importorskip("xdist")
    return project.runpytest_subprocess(*args)


def results_of(project: pytest.Pytester, name: str = "r.json") -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads((project.path / name).read_text(), parse_constant=refuse)


def table_of(lines: list[str]) -> list[list[str]]:
    """Return the cells of the terminal's table, heading first, by where the columns stand."""
    rule = next(number for number, line in enumerate(lines) if re.match("-+  -+  ", line))
    edges = [0]
    for width in lines[rule].split("  "):
        edges.append(edges[-1] + len(width) + 2)
    below = itertools.takewhile(lambda line: not line.startswith(("=", "cpuaccel: ")), lines[rule + 1 :])
    return [
        [line[left:right].strip() for left, right in itertools.pairwise(edges)] for line in (lines[rule - 1], *below)
    ]


def test_the_table_has_a_line_for_each_call_and_backend(reporting: pytest.Pytester) -> None:
    result = reporting.runpytest_inprocess("--cpu-backends=twin,off")
    heading, *lines = table_of(result.outlines)
    assert heading == ["test", "model", "call", "backend", "parity", "p50", "vs eager", "verdict"]
    assert [(line[0], line[3], line[-1]) for line in lines[:4]] == [
        ("test_small", "twin", "PASS"),
        ("", "off", "FAIL parity"),
        ("test_timed", "twin", "PASS"),
        ("", "off", "FAIL parity"),
    ]
    assert [line[5] for line in lines[:2]] == ["", ""]
    assert lines[3][5] == "withheld"
    result.stdout.fnmatch_lines(["cpuaccel: 2 PASS, 2 FAIL"])


def test_quiet_runs_show_the_table_too(reporting: pytest.Pytester) -> None:
    result = reporting.runpytest_inprocess("-q", "--cpu-backends=twin", "-k", "small")
    result.stdout.fnmatch_lines(["Mlp *forward 2x16 *twin *PASS"])


def test_a_run_that_judged_nothing_shows_no_table(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile("import torch\ndef test_it(cpu_model): cpu_model(torch.ones(2, 16))")
    mlp_project.runpytest_inprocess("--cpu-backends=twin").stdout.no_fnmatch_line("*-- cpuaccel*")


def test_json_has_every_fact_with_its_schema_and_environment(reporting: pytest.Pytester) -> None:
    reporting.runpytest_inprocess("--cpu-backends=twin,off", "--cpu-report=r.json")
    report = results_of(reporting)
    assert report["schema"] == 2
    facts = report["run"]
    assert facts["command"].startswith("pytest ")
    assert "--cpu-report=r.json" in facts["command"]
    assert facts["seconds"] > 0
    assert uuid.UUID(facts["id"])
    assert datetime.fromisoformat(facts["started"]).tzinfo is not None
    assert report["environment"]["threads"] == 1
    assert any(version.startswith("torch ") for version in report["environment"]["versions"])
    assert [(result["test"], result["backend"], result["outcome"]) for result in report["results"]] == [
        ("test_it.py::test_small[twin]", "twin", "passed"),
        ("test_it.py::test_timed[twin]", "twin", "passed"),
        ("test_it.py::test_small[off]", "off", "failed"),
        ("test_it.py::test_timed[off]", "off", "failed"),
    ]
    small, timed, wrong, withheld = report["results"]
    assert small["parity"]["verdict"] == "PASS"
    assert small["call"] == "forward 2x16"
    assert "latency" not in small
    assert timed["latency"]["verdict"] == "PASS"
    assert all(len(pair) == 2 and min(pair) > 0 for pair in timed["latency"]["pairs_ns"])
    assert math.isfinite(timed["latency"]["p50_ns"])
    assert wrong["parity"]["verdict"] == "FAIL"
    assert any("max abs difference" in line for line in wrong["parity"]["evidence"])
    assert withheld["parity"]["withholds"] == "latency"
    assert "latency" not in withheld


def test_json_is_whole_after_every_test(reporting: pytest.Pytester) -> None:
    reporting.makepyfile(
        test_it=TESTS
        + """
def test_look(cpu_backend):
    results = json.loads(Path("r.json").read_text())["results"]
    assert [result["test"] for result in results] == ["test_it.py::test_small[twin]"]
"""
    )
    result = reporting.runpytest_inprocess("-k", "small or look", "--cpu-backends=twin", "--cpu-report=r.json")
    result.assert_outcomes(passed=2, deselected=1)


def test_a_report_named_twice_is_whole(reporting: pytest.Pytester) -> None:
    reporting.runpytest_inprocess("-k", "small", "--cpu-backends=twin", "--cpu-report=r.json,r.json")
    assert len(results_of(reporting)["results"]) == 1


def test_a_run_that_judged_nothing_leaves_an_empty_report(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile("def test_it(): pass")
    (mlp_project.path / "r.json").write_text('{"results": [{"of": "an earlier run"}]}')
    mlp_project.runpytest_inprocess("--cpu-report=r.json,r.md,r.html").assert_outcomes(passed=1)
    assert results_of(mlp_project)["results"] == []
    assert "Nothing was judged." in (mlp_project.path / "r.md").read_text()
    assert (mlp_project.path / "r.html").read_text().startswith("<!doctype html>")


def test_collecting_leaves_reports_as_they_are(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile("def test_it(): pass")
    (mlp_project.path / "r.json").write_text("an earlier run")
    mlp_project.runpytest_inprocess("--collect-only", "--cpu-report=r.json,r.md")
    assert (mlp_project.path / "r.json").read_text() == "an earlier run"
    assert not (mlp_project.path / "r.md").exists()


def test_reports_lie_where_the_run_began(reporting: pytest.Pytester) -> None:
    (reporting.path / "elsewhere").mkdir()
    reporting.makepyfile(
        test_it=TESTS.replace(
            "    cpu_model(torch.ones(2, 16))", "    cpu_model(torch.ones(2, 16)); import os; os.chdir('elsewhere')"
        )
    )
    reporting.runpytest_inprocess("-k", "small", "--cpu-backends=twin", "--cpu-report=new/r.json,new/r.md")
    assert len(results_of(reporting, "new/r.json")["results"]) == 1
    assert "forward 2x16" in (reporting.path / "new" / "r.md").read_text()


def test_markdown_has_what_failed_then_the_table(reporting: pytest.Pytester) -> None:
    reporting.runpytest_inprocess("-k", "small", "--cpu-backends=twin,off", "--cpu-report=r.md")
    lines = (reporting.path / "r.md").read_text().splitlines()
    pytest.LineMatcher(lines).fnmatch_lines(
        [
            "## CPU backends: 1 failed test",
            "[*][*]FAIL parity[*][*] `test_it.py::test_small[[]off[]]`: off: forward 2x16: *",
            "output: 8 of 8 elements (100 %) differ *",
            "[*][*]1 PASS, 1 FAIL[*][*]",
            "| model and call | backend | parity | verdict |",
            "| Mlp, forward 2x16 | twin | * | PASS |",
            "| Mlp, forward 2x16 | off | * | [*][*]FAIL parity[*][*] |",
            "<details><summary>Environment, command and commit</summary>",
            "- command: `pytest -k small *",
            "- threads: 1",
        ]
    )


def test_html_is_one_file_that_loads_nothing(reporting: pytest.Pytester) -> None:
    reporting.runpytest_inprocess("--cpu-backends=twin,off", "--cpu-report=r.html")
    text = (reporting.path / "r.html").read_text()
    assert "forward 3x16" in text
    assert "FAIL parity" in text
    assert "src=" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_a_run_begins_before_its_first_test(reporting: pytest.Pytester) -> None:
    reporting.makepyfile(test_it="import time\ndef test_plain(): time.sleep(2)\n" + TESTS)
    reporting.runpytest_inprocess("-k", "small or plain", "--cpu-backends=twin", "--cpu-report=r.json")
    assert results_of(reporting)["run"]["seconds"] > 2


def test_html_escapes_what_it_shows(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch

        @pytest.mark.parametrize("text", ["<script>alert(1)</script>"])
        @pytest.mark.parity
        def test_it(cpu_model, text):
            cpu_model(torch.ones(2, 16))
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=off", "--cpu-report=r.html,r.json")
    assert "<script>" not in (mlp_project.path / "r.html").read_text()
    assert "<script>" in results_of(mlp_project)["results"][0]["test"]


def test_junit_has_the_facts_as_properties(reporting: pytest.Pytester) -> None:
    reporting.runpytest_inprocess("-k", "small", "--cpu-backends=off", "--junitxml=junit.xml")
    case = ElementTree.parse(reporting.path / "junit.xml").find(".//testcase")
    assert case is not None
    properties = {item.attrib["name"]: item.attrib["value"] for item in case.iter("property")}
    assert properties["cpuaccel.0.backend"] == "off"
    assert properties["cpuaccel.0.parity.verdict"] == "FAIL"
    assert properties["cpuaccel.0.parity.sentence"].startswith("off: forward 2x16: ")
    assert not any(name.endswith(("pairs_ns", "evidence")) for name in properties)


ENDINGS = """
import pytest, torch
from torch import nn

class Control(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x

@pytest.mark.parity
def test_refused(cpu_accelerate):
    cpu_accelerate(Control().eval(), calibration=3)

@pytest.mark.parity
def test_own_assertion(cpu_model):
    assert cpu_model(torch.ones(2, 16)) is None, "mine"

@pytest.mark.parity
@pytest.mark.skip(reason="not today")
def test_skipped(cpu_model):
    pass

@pytest.fixture
def broken(cpu_model):
    raise OSError("no disk")

@pytest.mark.parity
def test_error(broken):
    pass

@pytest.fixture
def broken_after(cpu_model):
    yield
    raise OSError("no disk")

@pytest.mark.parity
def test_error_after(cpu_model, broken_after):
    cpu_model(torch.ones(2, 16))

@pytest.mark.xfail(reason="known")
@pytest.mark.parity
def test_expected(cpu_model):
    raise ValueError("known")

def test_without_mark(cpu_model):
    cpu_model(torch.ones(2, 16))

def test_without_model():
    pass

@pytest.mark.parity
def test_marked_without_model(request):
    pass
"""


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "two_workers"])
def test_every_test_has_its_row(mlp_project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    mlp_project.makepyfile(test_it=ENDINGS)
    result = run(mlp_project, "--cpu-backends=twin", "--cpu-report=r.json,r.md", *workers)
    rows = [
        (row["test"].partition("::")[2].removesuffix("[twin]"), row["outcome"], row.get("ending", {}).get("kind"))
        for row in results_of(mlp_project)["results"]
    ]
    assert sorted(rows, key=lambda row: row[0]) == [
        ("test_error", "error", "error"),
        ("test_error_after", "error", None),
        ("test_error_after", "error", "error"),
        ("test_expected", "xfailed", "failed"),
        ("test_marked_without_model", "failed", "error"),
        ("test_own_assertion", "failed", "failed"),
        ("test_refused", "failed", "error"),
        ("test_skipped", "skipped", "skipped"),
        ("test_without_mark", "passed", "not judged"),
    ]
    backends = {row["test"]: row["backend"] for row in results_of(mlp_project)["results"]}
    assert backends.pop("test_it.py::test_marked_without_model") == ""
    assert set(backends.values()) == {"twin"}
    result.stdout.fnmatch_lines(
        ["test_own_assertion *twin *failed", "*skipped twin (1 test): not today", "cpuaccel: 1 PASS, *1 not judged"]
    )
    assert "AssertionError: mine" in (mlp_project.path / "r.md").read_text()


def test_a_backend_that_refuses_a_model_has_its_row(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch

        @pytest.mark.parity
        def test_it(cpu_model):
            cpu_model(torch.ones(2, 16))
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin,fastpath", "--cpu-report=r.json")
    passed, refused = results_of(mlp_project)["results"]
    assert passed["parity"]["verdict"] == "PASS"
    assert (refused["backend"], refused["model"], refused["ending"]["kind"]) == ("fastpath", "Mlp", "refused")
    assert "fastpath" in refused["ending"]["reason"]
    result.stdout.fnmatch_lines(["*fastpath *refused", "cpuaccel: 1 PASS, 1 refused"])


def test_two_models_of_one_class_have_rows_of_their_own(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch
        from torch import nn

        @pytest.mark.parity
        def test_small(cpu_accelerate):
            cpu_accelerate(nn.Linear(16, 2).eval())(torch.ones(2, 16))

        @pytest.mark.latency_budget(p50="10 s")
        def test_large(cpu_accelerate):
            cpu_accelerate(nn.Linear(16, 4096).eval())(torch.ones(2, 16))
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.stdout.re_match_lines(
        [r"test_large +Linear +forward 2x16 +twin +\d", "test_small +Linear +forward 2x16 +twin +exact +PASS"]
    )


def test_a_rerun_replaces_its_row(mlp_project: pytest.Pytester) -> None:
    with mlp_project.path.joinpath("conftest.py").open("a") as conftest:
        conftest.write(
            """
def pytest_runtest_protocol(item, nextitem):
    from _pytest.runner import runtestprotocol

    for attempt in (1, 2):
        item.config.attempt = attempt
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
    return True
"""
        )
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch

        @pytest.mark.parity
        def test_it(cpu_model, request):
            cpu_model(torch.ones(request.config.attempt, 16))
            assert request.config.attempt == 2
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin", "--cpu-report=r.json")
    (row,) = results_of(mlp_project)["results"]
    assert (row["call"], row["outcome"], "ending" in row) == ("forward 2x16", "passed", False)
    result.stdout.fnmatch_lines(["cpuaccel: 1 PASS"])


def test_a_worker_that_dies_leaves_a_row(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile("import os\nimport pytest\n@pytest.mark.parity\ndef test_it(cpu_model): os._exit(1)")
    run(mlp_project, "--cpu-backends=twin", "--cpu-report=r.json", "-n1")
    (row,) = results_of(mlp_project)["results"]
    assert (row["backend"], row["ending"]["kind"]) == ("twin", "error")
    assert "crashed" in row["ending"]["reason"]


def test_a_report_keeps_its_link_and_its_permissions(reporting: pytest.Pytester) -> None:
    file, link = reporting.path / "kept.json", reporting.path / "r.json"
    file.write_text("{}")
    file.chmod(0o640)
    link.symlink_to(file)
    reporting.runpytest_inprocess("-k", "small", "--cpu-backends=twin", "--cpu-report=r.json")
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert len(results_of(reporting)["results"]) == 1
    assert not list(reporting.path.glob("*.partial"))


GITHUB = """
import pytest, torch

class TestMlp:
    @pytest.mark.latency_budget(
        p50="10 s",
    )
    @pytest.mark.parity
    def test_wrong(self, cpu_model):
        cpu_model(torch.ones(2, 16))

@pytest.mark.xfail(reason="known")
@pytest.mark.parity
def test_expected(cpu_model):
    cpu_model(torch.ones(2, 16))
    raise ValueError("known")

@pytest.mark.parity
@pytest.mark.skip(reason="not today")
def test_skipped(cpu_model):
    pass
"""


@pytest.fixture
def on_github(mlp_project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(mlp_project.path / "summary.md"))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(mlp_project.path.parent))
    mlp_project.makepyfile(test_it=GITHUB)
    return mlp_project


@pytest.mark.parametrize("more", [("-q",), ("-qq", "--no-summary"), ("-n1",)])
def test_github_gets_a_summary_and_an_annotation_for_each_failed_mark(
    on_github: pytest.Pytester, more: tuple[str, ...]
) -> None:
    (on_github.path / "summary.md").write_text("before\n")
    result = run(on_github, "--cpu-backends=off,fastpath", "--cpu-report=github,r.json", *more)
    commands = [line for line in result.outlines if line.startswith("::")]
    file = f"{on_github.path.name}/test_it.py"
    assert [command.partition("::off: ")[0].partition("::fastpath: ")[0] for command in commands] == [
        f"::error file={file},line=7,title=FAIL parity%3A TestMlp%3A%3Atest_wrong[off]",
        f"::error file={file},line=8,title=refused%3A TestMlp%3A%3Atest_wrong[fastpath]",
    ]
    assert "100 %25" in commands[0]
    summary = (on_github.path / "summary.md").read_text()
    assert summary.startswith("before\n\n\n## CPU backends: 2 failed tests\n")
    for found in ("| `test_expected` | Mlp | off |  |  | failed (xfail) |", "- skipped off (1 test): not today"):
        assert found in summary
    assert len(results_of(on_github)["results"]) == 6


def test_outside_of_github_one_line_says_so(on_github: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
        monkeypatch.delenv(variable, raising=False)
    on_github.makeini("[pytest]\ncpu_report = github")
    result = on_github.runpytest_inprocess("--cpu-backends=off", "-k", "wrong")
    result.assert_outcomes(failed=1, deselected=2)
    result.stdout.fnmatch_lines(
        ["note: cpu_report in tox.ini: github: GITHUB_STEP_SUMMARY is not set, *; no summary was written"]
    )
    result.stdout.no_fnmatch_line("::*")


def test_a_report_that_cannot_be_written_keeps_back_no_other(
    reporting: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/dev/full")
    result = reporting.runpytest_inprocess(
        "-k",
        "small",
        "--cpu-backends=twin",
        "--cpu-report=/dev/full,r.json,r.md,github".replace("/dev/full", "full.md"),
    )
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(["note: --cpu-report: github: can't write '/dev/full': No space left on device"])
    assert len(results_of(reporting)["results"]) == 1


def test_a_folder_that_vanishes_costs_no_other_report(reporting: pytest.Pytester) -> None:
    reporting.makepyfile(
        test_it=TESTS.replace(
            "    cpu_model(torch.ones(2", "    __import__('shutil').rmtree('out'); cpu_model(torch.ones(2"
        )
    )
    result = reporting.runpytest_inprocess(
        "-k", "small", "--cpu-backends=twin", "--cpu-report=out/r.json,out/r.md,out/r.html,kept.json"
    )
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(
        [
            "Mlp *forward 2x16 *twin *PASS",
            *(f"note: --cpu-report: can't write '*/out/r.{end}': No such file *" for end in ("json", "md", "html")),
            "cpuaccel: 1 PASS*",
        ]
    )
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert len(results_of(reporting, "kept.json")["results"]) == 1


def test_what_is_written_is_of_the_form_in_the_docs(mlp_project: pytest.Pytester) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    mlp_project.makepyfile(
        test_it=ENDINGS,
        test_more="""
        import pytest, torch

        @pytest.mark.parity
        @pytest.mark.latency_budget(p50="10 s", p99="10 s", max_slowdown="900%", cold_start="90 s", build="90 s")
        @pytest.mark.memory_budget(peak="90 GB")
        def test_all(cpu_model):
            cpu_model(torch.ones(2, 16))

        @pytest.mark.accuracy_budget(max_drop="50%")
        def test_score(score_items):
            score_items(lambda model, item: float(model(item).mean()), [torch.ones(1, 16)] * 4)
        """,
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin,off,fastpath", "--cpu-report=r.json")
    report = results_of(mlp_project)
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    found = jsonschema.Draft202012Validator(schema).iter_errors(report)
    assert [f"{error.json_path}: {error.message}" for error in found] == []
    assert {"parity", "latency", "accuracy", "ending"} <= {key for row in report["results"] for key in row}


AFTER_THE_VERDICT = """
import unittest, pytest, torch
X = torch.ones(2, 16)

@pytest.mark.xfail(strict=True)
@pytest.mark.parity
def test_strict(cpu_model): cpu_model(X)

@pytest.mark.parity
def test_sub(cpu_model, subtests):
    cpu_model(X)
    with subtests.test(): assert 0

class TestCase(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def model(self, cpu_model): self.model = cpu_model

    @pytest.mark.parity
    @unittest.expectedFailure
    def test_unexpected(self): self.model(X)

    @pytest.mark.parity
    def test_sub(self):
        self.model(X)
        with self.subTest(): assert 0

    @pytest.mark.parity
    @unittest.expectedFailure
    def test_expected(self): self.model(X); assert 0

@pytest.fixture
def broken_after():
    yield
    raise OSError("no disk")

@pytest.mark.parity
def test_both(cpu_model, broken_after): cpu_model(X); assert 0
"""


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "one_worker"])
def test_a_test_that_fails_otherwise_than_by_its_verdict_says_so(
    mlp_project: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytest.importorskip("_pytest.subtests")
    mlp_project.makepyfile(test_it=AFTER_THE_VERDICT)
    run(mlp_project, "--cpu-backends=twin", "--cpu-report=r.json,r.md", *workers)
    found: dict[str, list[str]] = {}
    for row in results_of(mlp_project)["results"]:
        ending = row["ending"]["kind"] if "ending" in row else row["parity"]["verdict"]
        found.setdefault(row["test"].removeprefix("test_it.py::"), []).append(f"{row['outcome']}: {ending}")
    assert found == {
        "test_strict[twin]": ["failed: PASS", "failed: failed"],
        "test_sub[twin]": ["failed: PASS", "failed: failed"],
        "TestCase::test_unexpected": ["failed: PASS", "failed: failed"],
        "TestCase::test_sub": ["failed: PASS", "failed: failed"],
        "TestCase::test_expected": ["xfailed: failed"],
        "test_both[twin]": ["error: failed", "error: error"],
    }
    assert "5 failed tests" in (mlp_project.path / "r.md").read_text()
