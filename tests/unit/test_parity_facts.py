"""A summary of parity as flat facts, and read back."""

from __future__ import annotations

import math

import pytest

from pytest_cpuaccel.core.parity_summary import OutputCounts, OutputSummary, ParitySummary, TokenSummary
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.report.facts.parity import flat, read

SUMMARIES = {
    "an output": ParitySummary(
        "1.2e-07 (1.1x fp32 rounding)",
        Precision.FP32,
        OutputCounts("logits", 2, 0, 60, 4),
        worst=OutputSummary(max_abs=3e-7, cosine=1.0, smallest_atol=3.01e-7, relative_rmse=1.2e-7, longest_sum=4096),
        calls=3,
    ),
    "a wrong one": ParitySummary(
        "max abs 2.0e+00",
        Precision.BF16,
        OutputCounts("logits", 1, 1, 60, 0),
        worst=OutputSummary(max_abs=2.0, rtol=0.0, atol=0.1),
        calls=1,
        withholds=("latency", "memory"),
    ),
    "tokens": ParitySummary(
        "7 of 8 tokens",
        Precision.INT8,
        tokens=TokenSummary(8, 7, 0.1, 0.9, 5, 0, 11, 12, 0.25, 0.5),
        worst=OutputSummary(sqnr_db=20.0, min_sqnr_db=8.0),
        calls=1,
    ),
    "tokens of another shape": ParitySummary("wrong tokens", Precision.FP32, tokens=TokenSummary(), calls=1),
    "nothing": ParitySummary("nothing compared", counts=OutputCounts(), calls=1),
    "of a stale build": ParitySummary("not equal", Precision.FP32, OutputCounts("ids", 1, 1, 4, 0)),
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_what_is_read_back_is_what_was_written(name: str) -> None:
    facts = flat(SUMMARIES[name])
    found = read(facts)
    assert found == SUMMARIES[name]
    assert found is not None
    assert flat(found) == facts


def test_figures_that_were_not_found_are_left_out() -> None:
    facts = flat(SUMMARIES["a wrong one"])
    assert list(facts) == [
        "output",
        "outputs",
        "failing_outputs",
        "compared_elements",
        "masked_elements",
        "precision",
        "max_abs",
        "rtol",
        "atol",
        "figure",
        "calls",
        "withholds",
    ]
    assert facts["withholds"] == "latency memory"
    assert flat(SUMMARIES["nothing"]) == {"compared_elements": 0, "figure": "nothing compared", "calls": 1}
    assert all(math.isfinite(value) for value in facts.values() if isinstance(value, float))


def test_a_verdict_without_parity_holds_no_summary() -> None:
    assert read({}) is None
