"""The search for a set of modules to keep in fp32, what it says, and its facts."""

from __future__ import annotations

from math import inf

import pytest

from pytest_cpuaccel.core.localization import ModuleError
from pytest_cpuaccel.core.sensitivity import Sensitivity
from pytest_cpuaccel.diagnose.precision.search import MOST_BUILDS, SECONDS, Search, Trial
from pytest_cpuaccel.diagnose.precision.sentences import lines
from pytest_cpuaccel.report.facts import sensitivity

RANKED = [f"m{number}" for number in range(24)]


def search_for(*needed: str) -> Search:
    return Search(lambda kept: Trial(holds={*needed} <= {*kept}))


@pytest.mark.parametrize("needed", [("m0",), ("m3", "m0"), ("m2", "m5", "m7"), ("m23", "m1")])
def test_exactly_the_modules_that_are_needed_are_found(needed: tuple[str, ...]) -> None:
    search = search_for(*needed)
    assert {*search.smallest(RANKED)} == {*needed}
    assert search.builds <= MOST_BUILDS
    assert not search.is_late


@pytest.mark.parametrize(("needed", "builds"), [(("m0",), 1), (("m0", "m1"), 4), (("m2", "m0"), 7)])
def test_few_modules_take_few_builds(needed: tuple[str, ...], builds: int) -> None:
    search = search_for(*needed)
    assert {*search.smallest(RANKED)} == {*needed}
    assert search.builds == builds


def test_where_even_most_modules_do_not_do_few_builds_are_made() -> None:
    search = Search(lambda _: Trial(holds=False, sqnr=3.0))
    assert search.smallest(RANKED) == ()
    assert search.builds == 4
    assert Search(lambda _: Trial(holds=True)).smallest(["only"]) == ()


def test_when_time_is_over_the_set_found_so_far_counts() -> None:
    times = iter([0.0, 1.0, 2.0, 3.0, *[SECONDS + 1] * 99])
    search = Search(lambda kept: Trial(holds="m9" in kept), clock=lambda: next(times))
    found = search.smallest(RANKED)
    assert search.is_late
    assert "m9" in found


FOUND = Sensitivity(
    (ModuleError("head", "Linear", inf, 0.0), *(ModuleError(f"m{n}", "Linear", 0.1, 1e-7) for n in range(7))),
    method="a copy",
    keep_fp32=("head", "m0"),
    sqnr_before=8.06,
    sqnr_after=19.4,
    builds=7,
    seconds=12.04,
)


def test_the_five_worst_modules_and_a_set_are_shown() -> None:
    text = "\n".join(lines(FOUND))
    assert "worst of 8: head inf, m0 0.1, m1 0.1, m2 0.1, m3 0.1" in text
    assert "m4" not in text
    effect = "SQNR 8.1 -> 19.4 dB, 2 of 8 modules stay in fp32, 7 builds in 12.0 s"
    assert f"a set that makes it hold: keep_fp32=['head', 'm0']: {effect}" in text


def test_facts_read_back_what_was_found() -> None:
    for found in (FOUND, Sensitivity(note="no time")):
        assert sensitivity.read(sensitivity.flat(found)) == found
    assert sensitivity.read(sensitivity.flat(None)) is None
