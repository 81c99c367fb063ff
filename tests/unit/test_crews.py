from __future__ import annotations

from dataclasses import replace

from benchmarks.crews.tally import HEADINGS, Tally, table
from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown

RACE = CrewRaceMeasurement(
    ratio=1.1,
    interval=(1.08, 1.12),
    candidate_levels=(0.1,) * 4,
    reference_levels=(-0.1,) * 4,
    processes=4,
    sweeps=20,
    seconds=2.0,
    p50_ns=1.1e6,
    reference_p50_ns=1e6,
    cpu_ratio=None,
    queued_share=0.0,
    threads=1,
    seed=0,
    shown=Shown.ABOVE,
)


def test_a_row_counts_outcomes_and_intervals_that_hold_the_truth() -> None:
    races = [RACE, RACE, replace(RACE, shown=Shown.OPEN, interval=(1.0, 1.09), processes=12)]
    row = Tally("mlp", 1.1, races).cells()
    assert dict(zip(HEADINGS, row, strict=True)) == {
        "processes and machine": "mlp",
        "true ratio": "1.100",
        "FAIL": "2/3 [9.4, 99.2]",
        "PASS": "0/3 [0.0, 70.8]",
        "INCONCLUSIVE": "1/3 [0.8, 90.6]",
        "interval holds it": "2/3 [9.4, 99.2]",
        "half its width": "2.0 %",
        "processes a side": "4: 2, 12: 1",
        "median s": "2",
    }


def test_the_table_is_markdown() -> None:
    lines = table([Tally("mlp", 1.1, [RACE])]).splitlines()
    assert [line.count(" | ") for line in lines] == [len(HEADINGS) - 1] * 3
