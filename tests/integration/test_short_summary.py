"""What pytest's short summary says of a failure, in 80 columns; and what quiet runs print."""

from __future__ import annotations

import re

import pytest

TESTS = """
import pytest, torch

@pytest.mark.parity
def test_off(cpu_model):
    cpu_model(torch.ones(2, 16))

@pytest.mark.latency_budget(p50="1 s", speedup=1000)
def test_slow(cpu_model):
    cpu_model(torch.ones(2, 16))

@pytest.mark.memory_budget(artifact="1 B")
def test_nothing(cpu_model):
    pass

@pytest.mark.parity
def test_never(cpu_accelerate):
    pass

def test_changed(cpu_model):
    cpu_model.cuda()

def test_fixture(cpu_accelerate):
    cpu_accelerate(7)

@pytest.fixture
def broken(cpu_accelerate):
    cpu_accelerate(7)

def test_broken(broken):
    pass
"""


def summary_of(project: pytest.Pytester, *args: str) -> dict[str, str]:
    """The reason of each failure, by test."""
    outlines = project.runpytest_subprocess(*args).outlines
    found = (re.fullmatch(r"(?:FAILED|ERROR) test_it\.py::(\w+)\[\w+\] - (.*)", line) for line in outlines)
    return {match[1]: match[2] for match in found if match}


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "two_workers"])
def test_it_begins_with_the_reason(
    mlp_project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    if workers:
        pytest.importorskip("xdist")
    monkeypatch.setenv("COLUMNS", "80")
    mlp_project.makepyfile(test_it=TESTS)
    found = summary_of(mlp_project, "--cpu-backends=off", *workers)
    assert {name: reason[:20] for name, reason in found.items()} == {
        "test_off": "'output' off by ",
        "test_slow": "",
        "test_nothing": "the test never calle",
        "test_never": "@parity: the test ne",
        "test_changed": "cpu_model.cuda: a bu",
        "test_fixture": "cpu_accelerate(model"[:20],
        "test_broken": "cpu_accelerate(model"[:20],
    } | {name: reason[:20] for name, reason in found.items() if name in ("test_off", "test_slow")}
    assert re.match(r"'output' off by \d", found["test_off"])
    assert re.match(r"\d\.\d\dx the speed of eager", found["test_slow"])


def test_the_failure_itself_has_the_whole_sentence_and_the_place_below(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=TESTS)
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.stdout.fnmatch_lines(["off: forward 2x16: 'output' is off by a relative RMSE of *, allowed *"])
    result.stdout.fnmatch_lines(["cpu_model.cuda: a built model can't be changed; *", "  at test_it.py:20"])


def test_a_wide_summary_has_the_whole_reason_on_one_line(
    mlp_project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    mlp_project.makepyfile(test_it=TESTS)
    reason = summary_of(mlp_project, "--cpu-backends=off", "-k", "test_off")["test_off"]
    assert re.fullmatch(r"'output' off by \d\S+[^;]*, allowed \d[^;]*", reason)


def test_failures_of_the_user_are_left_alone(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it="""
        import pytest

        def test_assertion(cpu_model): assert 1 == 2

        def test_fail(cpu_model): pytest.fail("of the user")
        """
    )
    found = summary_of(mlp_project, "--cpu-backends=twin")
    assert found == {"test_assertion": "assert 1 == 2", "test_fail": "Failed: of the user"}


@pytest.mark.parametrize(
    ("args", "header", "closing"),
    [
        ((), True, True),
        (("-q",), False, True),
        (("-qq",), False, False),
        (("--no-header",), False, True),
        (("--no-summary",), True, False),
    ],
)
def test_what_is_not_wanted_is_not_printed(
    mlp_project: pytest.Pytester, args: tuple[str, ...], header: bool, closing: bool
) -> None:
    mlp_project.makepyfile(
        test_it="import pytest, torch\n\n@pytest.mark.parity\ndef test_it(cpu_model): cpu_model(torch.ones(2, 16))"
    )
    lines = mlp_project.runpytest_inprocess("--cpu-backends=twin", *args).outlines
    assert ("cpuaccel: twin" in lines) is header
    assert ("cpuaccel: 1 PASS" in lines) is closing
    assert any(line.startswith("MLP") or "forward 2x16" in line for line in lines) is closing


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "two_workers"])
def test_the_closing_line_counts_exports(mlp_project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    if workers:
        pytest.importorskip("xdist")
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch

        @pytest.mark.parity
        @pytest.mark.parametrize("size", [1, 2, 3, 4])
        def test_it(cpu_model, size):
            cpu_model(torch.ones(size, 16))
        """
    )
    first, again = (mlp_project.runpytest_subprocess("--cpu-backends=stored", *workers).outlines for _ in range(2))
    exports = [line for line in first if line.startswith("cpuaccel: 4 PASS")]
    assert re.fullmatch(r"cpuaccel: 4 PASS(; waited .*)?; \d exports?", exports[0])
    assert not [line for line in again if line.startswith("cpuaccel: ") and "export" in line]
