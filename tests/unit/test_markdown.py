"""The Markdown report: what stands where, that nothing in a name or message is read as Markdown, and its length."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.facts.result import result_of
from pytest_cpuaccel.report.markdown_file import COMMENT_BYTES, markdown
from pytest_cpuaccel.report.markdown_text import block, code, plain, shortened
from pytest_cpuaccel.report.narrow_table import narrow_table
from pytest_cpuaccel.report.row import Row
from tests.unit.rows import ended, judged, report_of
from tests.unit.test_table import FACTS

FAIL, PASS, INCONCLUSIVE = Outcome.FAIL, Outcome.PASS, Outcome.INCONCLUSIVE
SOME = (
    judged("t.py::test_fine[ort]", ("parity", PASS)),
    judged("t.py::test_slow[ort]", ("parity", PASS), ("latency", FAIL), sentence="ort: 4 ms, allowed 3 ms"),
    judged("t.py::test_wrong[ort]", ("parity", FAIL), sentence="ort: 'y_' is off"),
    judged("t.py::test_open[ort]", ("latency", INCONCLUSIVE), sentence="ort: could not be decided"),
    ended("t.py::test_refused[ort]", "refused", "ort: has no operator Foo\nmore of it", "failed"),
    ended("t.py::test_skipped[ort]", "skipped", "not today", "skipped"),
    ended("t.py::test_known[ort]", "failed", "KeyError: 'a'", "xfailed"),
)


def table_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b is 2 * 3", r"a_b is 2 \* 3"),
        ("__init__ and _x", r"\_\_init\_\_ and \_x"),
        ("<b>x</b> &amp; y", "&lt;b&gt;x&lt;/b&gt; &amp;amp; y"),
        ("a|b", "a&#124;b"),
        ("two\nlines  here", "two lines here"),
        ("[x](y) and ![z](w)", r"[x\](y) and ![z\](w)"),
        ("`x` ~y~ \\", r"\`x\` \~y\~ \\"),
        ("$x$", "<span>$</span>x<span>$</span>"),
        ("@parity: see #12", "`@parity`: see `#12`"),
        ("owner/name#12, a CPU @ 2 GHz", "`owner/name#12`, a CPU @ 2 GHz"),
        ("see https://a.b/c_d_e.", "see `https://a.b/c_d_e.`"),
        ("[0.90, 1.10]", "[0.90, 1.10]"),
    ],
)
def test_nothing_in_a_text_is_read_as_markdown(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("t.py::test_it[a-*b*]", "`t.py::test_it[a-*b*]`"),
        ("t.py::test_it[a|b]", "<code>t.py::test_it&#91;a&#124;b&#93;</code>"),
        ("t.py::test_it[`<b>`_]", "<code>t.py::test_it&#91;&#96;&#60;b&#62;&#96;&#95;&#93;</code>"),
        ("two\nlines", "`two lines`"),
        ("", ""),
    ],
)
def test_a_name_is_code_that_no_table_is_broken_by(name: str, shown: str) -> None:
    assert code(name) == shown


def test_a_block_of_code_ends_where_its_lines_end() -> None:
    assert block(["a ```` b", "c"]) == "`````text\na ```` b\nc\n`````"


def test_long_names_keep_both_ends() -> None:
    found = shortened(f"test_it[{'x' * 500}-ort]", 40)
    assert len(found) == 40
    assert found.startswith("test_it[")
    assert found.endswith("-ort]")
    assert shortened("short", 40) == "short"


def test_failures_stand_before_totals_and_these_before_the_table() -> None:
    text = markdown(report_of(SOME))
    places = [
        text.index(found)
        for found in (
            "## CPU backends: 3 failed tests",
            "**FAIL parity** `t.py::test_wrong[ort]`: ort: 'y\\_' is off",
            "**FAIL latency** `t.py::test_slow[ort]`: ort: 4 ms, allowed 3 ms\n\n```text\nworst at [0, 0]\n```\n\n"
            "- the exporter kept one branch\n- a note",
            "**refused** `t.py::test_refused[ort]`: ort: has no operator Foo\n\n```text\nmore of it\n```",
            "**1 PASS, 2 FAIL, 1 INCONCLUSIVE, 1 refused, 1 xfail, 1 skipped**",
            "| test |",
            "<details><summary>INCONCLUSIVE</summary>",
            "- **INCONCLUSIVE latency** `t.py::test_open[ort]`: ort: could not be decided",
            "- skipped ort (1 test): not today",
            "<details><summary>Environment, command and commit</summary>",
            "- command: `pytest --cpu-backends=ort`\n- commit: 000000000000\n- started: 2026-01-02T03:04:05+00:00",
            "- cpu: A CPU @ 2 GHz",
        )
    ]
    assert places == sorted(places)
    assert "KeyError" not in text
    assert text.count("<details>") == text.count("</details>") == 3


def test_the_table_has_a_line_for_every_row() -> None:
    _, rule, *lines = table_lines(markdown(report_of(SOME)))
    assert set(rule) <= set("|- ")
    assert [line.split(" | ")[-1] for line in lines] == [
        "PASS |",
        "**FAIL latency** |",
        "**FAIL parity** |",
        "INCONCLUSIVE latency |",
        "**refused** |",
        "skipped |",
        "failed (xfail) |",
    ]
    assert {line.count(" | ") for line in lines} == {rule.count(" | ")}


def test_the_table_has_eight_columns_at_most() -> None:
    result = replace(result_of(FACTS), backend="ort")
    rows = [Row(f"t.py::test_{name}[ort]", "failed", result) for name in "ab"]
    headings, lines = narrow_table(rows)
    assert " | ".join(headings) == (
        "test | model and call | backend | parity | accuracy | p50, vs eager | other figures | verdict"
    )
    cells = dict(zip(headings, lines[0], strict=True))
    assert cells["model and call"] == "BertModel, forward 1x128"
    assert cells["p50, vs eager"].startswith("1.5")
    for name in ("p90", "p99", "throughput", "ttft", "tpot", "vs baseline", "cold start", "build", "peak memory"):
        assert f"{name} " in cells["other figures"]


def test_tests_that_fail_alike_are_told_of_once() -> None:
    rows = [ended(f"t.py::test_{number}[ort]", "refused", "ort: no", "failed") for number in range(12)]
    text = markdown(report_of(rows))
    assert text.startswith("## CPU backends: 12 failed tests\n")
    assert text.count("**refused** `") == 1
    assert "`t.py::test_9[ort]` and 2 more: ort: no" in text


def test_a_run_without_rows_says_so() -> None:
    assert markdown(report_of(())).startswith("## CPU backends\n\nNothing was judged.\n")
    assert markdown(report_of(SOME[:1])).startswith("## CPU backends: no failure\n")
    undecided = [row for row in SOME if row.word == INCONCLUSIVE.value]
    assert markdown(report_of([SOME[0], *undecided])).startswith("## CPU backends: no failure, 1 result not decided\n")


def test_an_inconclusive_verdict_that_fails_its_test_is_a_failure() -> None:
    row = judged("t.py::test_open[ort]", ("latency", INCONCLUSIVE), ended="failed")
    text = markdown(report_of([row]))
    assert text.startswith("## CPU backends: 1 failed test\n\n**INCONCLUSIVE latency**")


@pytest.mark.parametrize("passed", [0, 3000])
@pytest.mark.parametrize("failed", [1, 300, 3000])
def test_a_long_report_fits_a_comment_and_says_what_is_left_out(passed: int, failed: int) -> None:
    rows = [
        *(judged(f"t.py::test_{number}[ort]", ("parity", PASS)) for number in range(passed)),
        *(
            judged(f"t.py::test_bad_{number}[ort]", ("parity", FAIL), sentence=f"ort: {number} is off")
            for number in range(failed)
        ),
    ]
    text = markdown(report_of(rows))
    assert len(text.encode()) <= COMMENT_BYTES
    shown = len(re.findall(r"^\*\*FAIL parity\*\* `", text, re.MULTILINE))
    told = re.search("^Left out, since GitHub shows no more than 65536 bytes here: (.*)[.]$", text, re.MULTILINE)
    lines = len(table_lines(text)) - 2
    if told is None:
        assert (shown, lines) == (failed, passed + failed)
        return
    if failed < 3000:
        assert shown == failed
    else:
        assert f"{failed - shown} failures" in told[1]
    assert lines <= 0 or f"{passed + failed - lines} lines of the table" in told[1]


def test_lines_of_the_table_that_stay_are_of_failures() -> None:
    rows = [
        *(judged(f"t.py::test_{number}[ort]", ("parity", PASS)) for number in range(3000)),
        judged("t.py::test_bad[ort]", ("parity", FAIL)),
    ]
    text = markdown(report_of(rows))
    assert table_lines(text)[-1].endswith("**FAIL parity** |")


def test_one_endless_message_does_not_fill_the_page() -> None:
    row = ended(f"t.py::test_it[{'x' * 10**5}]", "refused", "y" * 10**6, "failed")
    text = markdown(report_of([row]))
    assert len(text) < 5000
    assert "Left out" not in text


def test_names_that_are_no_text_are_written_all_the_same() -> None:
    row = Row("t.py::test_\udcff[ort]", "failed", Result("M", "ort", "", ()), judged("a").ending)
    assert "\udcff" in markdown(report_of([ended(row.test, "error", "broken", "error")]))
