"""Annotations of GitHub Actions, and the lines that they point to."""

from __future__ import annotations

import textwrap

import pytest

from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.annotations import Place, run_commands, workflow_commands
from pytest_cpuaccel.report.mark_line import mark_line
from pytest_cpuaccel.report.problem import Problem, problems
from pytest_cpuaccel.report.row import Row
from tests.unit.rows import ended, judged

FAIL, PASS, INCONCLUSIVE = Outcome.FAIL, Outcome.PASS, Outcome.INCONCLUSIVE
SOURCE = textwrap.dedent(
    """\
    import pytest

    @pytest.mark.parity(
        rtol=1,
    )
    @pytest.mark.latency_budget(p50="1 s")
    def test_both(cpu_model):
        pass

    def test_none(cpu_model):
        pass

    @pytest.mark.parity
    class TestIt:
        @pytest.mark.skipif(False, reason="")
        def test_method(self, cpu_model):
            pass
    """
)


def commands(*rows: Row, place: Place | None = None) -> list[str]:
    return list(workflow_commands(problems(rows), lambda _: place))


@pytest.mark.parametrize(
    ("start", "mark", "line"),
    [
        (3, "parity", 3),
        (3, "latency_budget", 6),
        (3, "memory_budget", 7),
        (3, None, 7),
        (10, "parity", 10),
        (15, "parity", 13),
        (15, "latency_budget", 16),
        (99, "parity", 99),
    ],
)
def test_the_line_of_a_mark_is_found(start: int, mark: str | None, line: int) -> None:
    assert mark_line(SOURCE, start, mark) == line


def test_a_file_that_is_no_python_keeps_the_line_of_its_test() -> None:
    assert mark_line("name: value", 1, "parity") == 1
    assert mark_line("Feature: a\0b", 7, "parity") == 7


def test_a_failed_mark_is_an_error_at_its_place() -> None:
    row = judged("a/t.py::Test::test_it[ort-1:2,3]", ("parity", FAIL), sentence="100 % is\r\noff: by 1, at least")
    assert commands(row, place=Place("a/t,1.py", 7)) == [
        "::error file=a/t%2C1.py,line=7,title=FAIL parity%3A Test%3A%3Atest_it[ort-1%3A2%2C3]::"
        "100 %25 is%0D%0Aoff: by 1, at least%0Aworst at [0, 0]%0Ahint: the exporter kept one branch%0Ahint: a note"
    ]


def test_no_command_has_more_than_one_line() -> None:
    rows = [ended("t.py::test_it[ort]", "refused", "one\ntwo\r\n::error::three", "failed")]
    (found,) = commands(*rows, place=Place("t.py"))
    assert len(found.splitlines()) == 1
    assert found.startswith("::error file=t.py,title=refused%3A test_it[ort]::one%0Atwo%0A")


def test_without_a_place_there_is_no_file() -> None:
    (found,) = commands(ended("t.py::test_it[ort]", "error", "the worker crashed", "error"))
    assert found == "::error title=error%3A test_it[ort]::the worker crashed"


def test_one_mark_has_one_annotation_whatever_it_was_about() -> None:
    rows = [
        judged("t.py::test_it[ort]", ("latency", FAIL), ("startup", FAIL), sentence="ort: too slow"),
        judged("t.py::test_it[ort]", ("latency", FAIL), ("memory", FAIL), sentence="ort: too much"),
    ]
    latency, memory = commands(*rows)
    assert latency.count("too slow") == 2
    assert latency.count("too much") == 1
    assert "title=FAIL memory" in memory


def test_what_could_not_be_decided_is_a_warning_unless_it_fails_the_test() -> None:
    undecided = ("latency", INCONCLUSIVE)
    (warned,) = commands(judged("t.py::test_it[ort]", undecided))
    (failed,) = commands(judged("t.py::test_it[ort]", undecided, ended="failed"))
    assert warned.startswith("::warning ")
    assert failed.startswith("::error ")
    by_parity = commands(judged("t.py::test_it[ort]", ("parity", FAIL), undecided))
    assert [found.partition(" ")[0] for found in by_parity] == ["::error", "::warning"]


@pytest.mark.parametrize(
    "row",
    [
        judged("t.py::test_it[ort]", ("parity", PASS)),
        judged("t.py::test_it[ort]", ("parity", FAIL), ended="xfailed"),
        judged("t.py::test_it[ort]", ("latency", INCONCLUSIVE), ended="xfailed"),
        ended("t.py::test_it[ort]", "skipped", "not today", "skipped"),
        ended("t.py::test_it[ort]", "refused", "skipped by --cpu-unsupported", "skipped"),
        ended("t.py::test_it[ort]", "not judged", "no mark", "passed"),
    ],
)
def test_what_is_as_it_should_be_has_no_annotation(row: Row) -> None:
    assert commands(row) == []


def test_ten_are_shown_the_most_important_first_and_the_others_counted() -> None:
    rows = [
        *(ended(f"t.py::test_refused_{number}[ort]", "refused", "no", "failed") for number in range(4)),
        *(judged(f"t.py::test_slow_{number}[ort]", ("latency", FAIL)) for number in range(6)),
        *(judged(f"t.py::test_wrong_{number}[ort]", ("parity", FAIL)) for number in range(3)),
        *(judged(f"t.py::test_open_{number}[ort]", ("latency", INCONCLUSIVE)) for number in range(11)),
    ]
    found = commands(*rows)
    assert [line.split(" ")[0] for line in found] == [*["::error"] * 10, *["::warning"] * 10, "::notice"]
    assert [line.partition("%3A")[0].partition("title=")[2] for line in found[:10]] == [
        *["FAIL parity"] * 3,
        *["FAIL latency"] * 6,
        "refused",
    ]
    assert "3 more errors and 1 more warning " in found[-1]


def test_a_problem_names_its_mark() -> None:
    found: list[Problem] = problems([judged("t.py::test_it[ort]", ("startup", FAIL), ("accuracy", FAIL))])
    assert [(each.label, each.mark) for each in found] == [
        ("FAIL accuracy", "accuracy_budget"),
        ("FAIL startup", "latency_budget"),
    ]


def test_the_failure_of_a_run_has_an_annotation_without_a_place() -> None:
    assert list(run_commands(["ort refused 100 %"])) == ["::error title=cpuaccel::the run fails: ort refused 100 %25"]
