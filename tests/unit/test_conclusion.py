"""The conclusion of a replay is the worst of all verdicts, and its sentence hides none."""

from __future__ import annotations

import pytest

from pytest_cpuaccel.bundles.bundle import RecordedVerdict
from pytest_cpuaccel.bundles.conclusion import Agreement, concluded
from pytest_cpuaccel.core.verdict import Kind, Outcome, Verdict

FAIL, PASS, UNKNOWN = Outcome.FAIL, Outcome.PASS, Outcome.INCONCLUSIVE
Outcomes = dict[Kind, Outcome]


@pytest.mark.parametrize(
    ("then", "now", "agreement", "sentence"),
    [
        ({"parity": FAIL}, {"parity": FAIL}, Agreement.SAME, "the same verdict: FAIL of parity"),
        ({"parity": FAIL}, {"parity": PASS}, Agreement.ANOTHER, "another verdict: parity was FAIL and is PASS"),
        (
            {"parity": FAIL, "kernels": UNKNOWN},
            {"parity": FAIL, "kernels": FAIL},
            Agreement.ANOTHER,
            "another verdict: kernels was INCONCLUSIVE and is FAIL; the same FAIL of parity",
        ),
        (
            {"parity": FAIL, "kernels": PASS},
            {"parity": PASS, "kernels": FAIL},
            Agreement.ANOTHER,
            "another verdict: kernels was PASS and is FAIL; parity was FAIL and is PASS",
        ),
        (
            {"parity": FAIL, "kernels": FAIL},
            {"parity": PASS},
            Agreement.UNJUDGED,
            "kernels was FAIL, and can't be judged: why; parity was FAIL and is PASS",
        ),
        (
            {"parity": FAIL, "kernels": FAIL},
            {"parity": FAIL, "kernels": UNKNOWN},
            Agreement.UNJUDGED,
            "kernels was FAIL, and can't be told now; the same FAIL of parity",
        ),
        (
            {"parity": FAIL, "kernels": FAIL},
            {"parity": FAIL, "kernels": PASS},
            Agreement.ANOTHER,
            "another verdict: kernels was FAIL and is PASS; the same FAIL of parity",
        ),
        (
            {"latency": FAIL},
            {"parity": FAIL},
            Agreement.ANOTHER,
            "another verdict: parity was not judged and is FAIL; latency was FAIL, and can't be judged: why",
        ),
        ({"kernels": PASS}, {"kernels": UNKNOWN}, Agreement.UNJUDGED, "the bundle has no FAIL"),
    ],
)
def test_the_worst_decides_and_every_fail_is_told(
    then: Outcomes, now: Outcomes, agreement: Agreement, sentence: str
) -> None:
    recorded = [RecordedVerdict(kind, outcome, "") for kind, outcome in then.items()]
    verdicts = [Verdict(kind, outcome, "") for kind, outcome in now.items()]
    found = concluded(recorded, verdicts, dict.fromkeys(then, "why"))
    assert (found.agreement, found.sentence) == (agreement, sentence)
