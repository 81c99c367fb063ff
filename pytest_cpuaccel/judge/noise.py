"""The machine's noise in a verdict: it may forbid a FAIL, and it explains an INCONCLUSIVE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf

from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement, SelfCheck
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.measurement.strain import MUCH_STEAL, Strain
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.ratio_limit import ratio_limit

MOST_DIFFERENT = 0.05
"""Equal copies differ by up to 3 % because of where their weights lie; by more only on a machine that can't judge."""

MUCH_QUEUED = 0.05


def with_noise(
    verdict: Verdict, measurement: LatencyMeasurement | BaselineMeasurement, budget: LatencyBudget
) -> Verdict:
    """Return a verdict that also says whether the machine was fit for it.

    A FAIL stands on a self-check, in which eager races a copy of itself. Where equal copies fail too, nothing is known,
    and the verdict becomes INCONCLUSIVE.
    """
    if verdict.outcome is Outcome.INCONCLUSIVE:
        reasons = _circumstances(measurement), _too_fine_a_race(measurement, budget)
        return replace(verdict, sentence="; ".join((verdict.sentence, *(text for texts in reasons for text in texts))))
    if verdict.outcome is not Outcome.FAIL:
        return verdict
    if measurement.self_check is not None:
        return _checked(verdict, measurement, measurement.self_check, budget)
    line = f"no A/A check: {measurement.no_self_check}"
    return replace(verdict, evidence=(*verdict.evidence, line)) if measurement.no_self_check else verdict


def _checked(
    verdict: Verdict,
    measurement: LatencyMeasurement | BaselineMeasurement,
    found: SelfCheck,
    budget: LatencyBudget,
) -> Verdict:
    if found.shown(_most_different(measurement.ratio, budget)) is Shown.ABOVE:
        low, high = found.interval
        sentence = (
            f"{verdict.sentence}; but in the A/A check two equal copies of eager differed by a factor of "
            f"{found.ratio:.3f} [{low:.3f}, {high:.3f}]: this machine can't judge it now"
        )
        return replace(verdict, outcome=Outcome.INCONCLUSIVE, sentence=sentence)
    resolved = "no slowdown" if found.slowdown == inf else f"slowdowns of {_percent(found.slowdown)} and more"
    line = (
        f"A/A check: two equal copies of eager had a ratio of {found.ratio:.3f}; "
        f"this machine resolves {resolved} in {found.seconds:.2g} s"
    )
    return replace(verdict, evidence=(*verdict.evidence, line, *_too_fine(budget, found.slowdown, found.seconds)))


def _most_different(ratio: float | None, budget: LatencyBudget) -> float:
    """The largest difference of equal copies that leaves a FAIL standing; no more than the excess over the limit."""
    limit = ratio_limit(budget)
    if limit is None or ratio is None or ratio <= limit:
        return MOST_DIFFERENT
    return min(MOST_DIFFERENT, ratio / limit - 1)


def _circumstances(measurement: LatencyMeasurement | BaselineMeasurement) -> Iterator[str]:
    """Return the circumstances that disturbed a measurement."""
    strains = [found.strain for found in (measurement.race, measurement.percentiles) if found is not None]
    throttled = sum(strain.throttled or 0 for strain in strains)
    steal = max((strain.steal or 0.0 for strain in strains), default=0.0)
    queued = measurement.race.queued_share if measurement.race is not None else 0.0
    last = strains[-1] if strains else Strain()
    if throttled:
        yield f"the cgroup was throttled {throttled:.0f} times meanwhile"
    if steal > MUCH_STEAL:
        yield f"steal {100 * steal:.2g} %"
    if queued > MUCH_QUEUED:
        yield f"calls waited for a processor {100 * queued:.2g} % of their time"
    if last.crowded:
        yield f"load {last.load_after:.1f} on {last.cpus} CPUs"


def _too_fine_a_race(measurement: LatencyMeasurement | BaselineMeasurement, budget: LatencyBudget) -> Iterator[str]:
    race = measurement.race
    if race is not None and 0 < race.interval[0] <= race.interval[1] < inf:
        yield from _too_fine(budget, race.estimate.smallest_slowdown, race.seconds)


def _too_fine(budget: LatencyBudget, resolved: float, seconds: float) -> Iterator[str]:
    if budget.max_slowdown is not None and budget.max_slowdown < resolved < inf:
        yield (
            f"max_slowdown={_percent(budget.max_slowdown)} is finer than the {_percent(resolved)} "
            f"that this machine resolves in {seconds:.2g} s"
        )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2g} %"
