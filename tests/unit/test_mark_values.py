"""Values of marks' arguments: each kind of value is taken, or refused in one line that says what to write."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import pytest

from pytest_cpuaccel.backends.registry import register
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.plugin.marks.budgets import budgets_of
from pytest_cpuaccel.plugin.marks.narrowing import check_narrowing

_VS = "latency_budget(p50='1 s', vs="
NUMBERS = ("parity(rtol=", "parity(atol=", "parity(cosine=", "parity(sqnr_db=", "parity(top1=")
RATIOS = ("latency_budget(speedup=", "latency_budget(max_slowdown=")
SCORES = ("accuracy_budget(max_drop=", "accuracy_budget(min_score=")
TIMES = tuple(f"latency_budget({name}=" for name in ("p50", "p90", "p99", "ttft", "tpot", "cold_start", "build"))
SIZES = ("memory_budget(peak=", "memory_budget(artifact=")
NAMES = ("parity(mask=", _VS, "accuracy_budget(min_score=0, of=", "parity(outputs=")
ALL = (*NUMBERS, *RATIOS, *SCORES, *TIMES, *SIZES, "latency_budget(min_throughput=", *NAMES)

TEXT = "'what ever'"
WRONG = ("True", "[1, 2]", "float('nan')", "float('inf')", "10**400", "object()", "('a', 1)", "b'1'", TEXT)
TAKES_TEXT = ("parity(mask=", _VS, "parity(outputs=")

SAYS = {
    "parity(rtol='1e-3')": "(rtol=): '1e-3' is a text; write 1e-3 without quotes",
    "parity(atol='1%')": "(atol=): '1%' is a text; write 0.01 without quotes",
    "parity(rtol=-1)": "(rtol=): -1 is negative; write 1e-3",
    "parity(top1='98%')": "(top1=): '98%' is a text; write 0.98 without quotes",
    "parity(top1='0.98')": "(top1=): '0.98' is a text; write 0.98 without quotes",
    "parity(top1=98)": "(top1=): 98 is outside [0, 1]; write 0.98 for 98 %",
    "parity(top1='all')": "(top1=): 'all' is a text; write a number, 0.98",
    "parity(cosine=-0.5)": "(cosine=): -0.5 is outside [0, 1]; write 0.999",
    "parity(cosine=1.5)": "(cosine=): 1.5 is outside [0, 1]; write 0.999",
    "parity(cosine='0.999')": "(cosine=): '0.999' is a text; write 0.999 without quotes",
    "parity(sqnr_db='30 dB')": "(sqnr_db=): '30 dB' is a text; write 30 without quotes",
    "parity(outputs={'logits': {'atol': '1e-3'}})": "(outputs=): '1e-3' is a text; write 1e-3 without quotes",
    "parity(outputs={'logits': {'atol': None}})": "(outputs=): None is not a number; write 1e-3",
    "parity(mask=False)": '(mask=): False is not the name of an input; write mask="attention_mask", or mask=""',
    "latency_budget(speedup='1.3x')": "(speedup=): '1.3x' is a text; write 1.3 without quotes",
    "latency_budget(speedup='2 times')": "(speedup=): '2 times' is a text; write 2 without quotes",
    "latency_budget(speedup='30%')": "(speedup=): '30%' is a text; write a number, 1.3 for 1.3 times as fast",
    "latency_budget(speedup=-1)": "(speedup=): -1 is not a speed-up; write 1.3 for 1.3 times as fast",
    "latency_budget(speedup={'eager': 'fast'})": "(speedup=): 'fast' is a text; write a number, 1.3 for 1.3",
    "latency_budget(max_slowdown='0.05')": "(max_slowdown=): '0.05' has no unit; write \"5%\", or 0.05 without",
    "latency_budget(max_slowdown='5')": "(max_slowdown=): '5' has no unit; write \"5%\"",
    "latency_budget(max_slowdown='1.3x')": "(max_slowdown=): '1.3x' is not a percentage; write \"5%\"",
    "latency_budget(min_throughput=40)": '(min_throughput=): 40 is not a text with a unit; write "40 items/s"',
    "latency_budget(p50=0.03)": '(p50=): 0.03 is not a text with a unit; write "30 ms"',
    "latency_budget(p50='-3 ms')": "(p50=): '-3 ms' is not a quantity; write \"30 ms\"",
    "latency_budget(p50={'eager': 30})": '(p50=): 30 is not a text with a unit; write "30 ms"',
    "memory_budget(peak=800)": '(peak=): 800 is not a text with a unit; write "800 MB"',
    "accuracy_budget(max_drop='-1%')": '(max_drop=): \'-1%\' is not a percentage; write "1%" or "1 point"',
    "accuracy_budget(max_drop='-1')": '(max_drop=): \'-1\' is negative; write "1%" or "1 point"',
    "accuracy_budget(min_score='90%')": "(min_score=): '90%' is a text; write 0.9 without quotes",
    "cpu_backends(3)": "@cpu_backends: 3 is not the name of a backend; write ",
    "cpu_backends(['ort', 'sdpa'])": "@cpu_backends: ['ort', 'sdpa'] is not the name of a backend; write ",
    "cpu_backends(exclude=3)": "@cpu_backends: 3 is not the name of a backend; write ",
    "cpu_backends(exclude=['sdpa', 3])": "@cpu_backends: 3 is not the name of a backend; write ",
    "cpu_backends('onnx')": "@cpu_backends: no backend named 'onnx'; did you mean 'ort'?",
    "parity(rtol={'onnx': 1e-3})": "@parity(rtol=): no backend named 'onnx'; did you mean 'ort'?",
    "parity(tolerance=1e-3)": "@parity takes no 'tolerance'; did you mean 'rtol' or 'atol'?",
    "latency_budget(throughput='4 items/s')": "takes no 'throughput'; did you mean 'min_throughput'?",
}


def lines_of(pytester: pytest.Pytester, marks: Sequence[str]) -> list[str]:
    """Return the refusals of marks, each on a test of its own, ``test_0`` and on; ``""`` for one that is taken."""
    known = register([])
    tests = [f"@pytest.mark.{mark}\ndef test_{place}(): pass\n" for place, mark in enumerate(marks)]
    path = pytester.makepyfile(test_it="import pytest\n\n" + "\n".join(tests))
    return [_refusal(item, known) for item in pytester.genitems([pytester.getpathnode(path)])]


def _refusal(item: pytest.Item, known: Mapping[str, Backend]) -> str:
    try:
        check_narrowing(item, known)
        budgets_of(item, "eager", known)
    except UsageError as mistake:
        return str(mistake)
    return ""


def line_of(pytester: pytest.Pytester, mark: str) -> str:
    """Return the refusal of a mark on a test; ``""`` if it is taken."""
    [line] = lines_of(pytester, [mark])
    return line


def test_a_value_of_another_kind_is_refused_in_one_line_with_the_test_and_what_to_write(
    pytester: pytest.Pytester,
) -> None:
    given = [(argument, value) for argument in ALL for value in WRONG]
    marks = [f"{argument}{value})" for argument, value in given if value != TEXT or argument not in TAKES_TEXT]
    for place, (mark, line) in enumerate(zip(marks, lines_of(pytester, marks), strict=True)):
        assert f"::test_{place}: @" in line, mark
        assert "write " in line, mark
        assert "\n" not in line
        assert len(line) < 250


def test_none_is_as_if_the_argument_were_left_out(pytester: pytest.Pytester) -> None:
    lines = lines_of(pytester, [f"{argument}None)" for argument in ALL])
    assert [line for line in lines if line and "allows nothing yet; write " not in line] == []


def test_a_refusal_says_what_was_given_and_what_would_do(pytester: pytest.Pytester) -> None:
    lines = dict(zip(SAYS, lines_of(pytester, list(SAYS)), strict=True))
    assert {mark: line for mark, line in lines.items() if SAYS[mark] not in line} == {}


def test_a_value_of_many_lines_is_shown_on_one(pytester: pytest.Pytester) -> None:
    line = line_of(pytester, "parity(rtol=type('Matrix', (), {'__repr__': lambda self: '[1\\n 2]' * 100})())")
    assert "(rtol=): [1 2][1 2]" in line
    assert "\n" not in line
    assert len(line) < 250


@pytest.mark.parametrize(
    ("mark", "budget", "value"),
    [
        ("parity(rtol=0)", "parity.tolerance.rtol", 0),
        ("parity(rtol=__import__('fractions').Fraction(1, 4))", "parity.tolerance.rtol", 0.25),
        ("parity(sqnr_db=-3)", "parity.tolerance.sqnr_db", -3),
        ("accuracy_budget(max_drop=0)", "accuracy.max_drop", 0),
        ("accuracy_budget(max_drop='0%')", "accuracy.max_drop", 0),
        ("accuracy_budget(min_score=-1)", "accuracy.min_score", -1),
        ("latency_budget(max_slowdown=0)", "latency.max_slowdown", 0),
    ],
)
def test_a_number_of_any_type_is_taken(pytester: pytest.Pytester, mark: str, budget: str, value: float) -> None:
    item = pytester.getitem(f"import pytest\n\n@pytest.mark.{mark}\ndef test_func(): pass\n")
    found: object = budgets_of(item, "eager", register([]))
    for name in budget.split("."):
        assert dataclasses.is_dataclass(found)
        found = getattr(found, name)
    assert found == value
