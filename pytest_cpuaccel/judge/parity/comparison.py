"""What comparing one call came to: all its outputs under a backend with those under eager."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.measurement.parity import ParityMeasurement, Share
from pytest_cpuaccel.core.parity_summary import OutputCounts, OutputSummary, ParitySummary
from pytest_cpuaccel.core.rounding import TELLING_ELEMENTS
from pytest_cpuaccel.core.tolerance_lock import Need
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.judged_output import JudgedOutput
from pytest_cpuaccel.judge.parity.output import judge_output
from pytest_cpuaccel.judge.parity.terms import Terms

MOST_EXPLAINED = 5
"""Failing outputs shown in full; a wrong model returns dozens of wrong hidden states."""


@dataclass(frozen=True)
class Comparison:
    """``sentence`` says what was found and what was allowed.

    ``evidence`` are the lines below it, ``notes`` what else is to be said of the outputs. ``top1`` are the shares of
    agreeing positions by output, where the budget asks for them. ``failing`` are the names of the failing outputs, the
    worst first, each with the difference above which an element of it counts as off. ``needs`` are what a tolerance
    lock would hold, by output.
    """

    outcome: Outcome
    sentence: str
    summary: ParitySummary
    evidence: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    top1: Mapping[str, Share] = field(default_factory=dict)
    failing: Mapping[str, float] = field(default_factory=dict)
    diagnoses: tuple[Diagnosis, ...] = ()
    needs: Mapping[str, Need] = field(default_factory=dict)

    @property
    def figure(self) -> str:
        """Return what was found in few words, for a table."""
        return self.summary.figure

    @property
    def compared_nothing(self) -> bool:
        """Whether no output had an element to compare, and none was wrong."""
        counts = self.summary.counts
        return self.outcome is Outcome.INCONCLUSIVE and counts is not None and counts.compared_elements == 0


def judge_comparison(measurement: ParityMeasurement, terms: Terms) -> Comparison:
    """Hold all outputs of a call to the terms.

    INCONCLUSIVE where eager's own rounding is too large to judge by, where tensors lie in objects of unknown types,
    and where there is nothing to compare; a wrong output makes it FAIL all the same.
    """
    judged = [judge_output(output, terms) for output in measurement.outputs]
    if terms.are_default and all(output.outcome is Outcome.PASS for output in judged):
        judged += _pretended(measurement)
    failing = [output for output in judged if output.outcome is Outcome.FAIL]
    undecided = [output for output in judged if output.outcome is Outcome.INCONCLUSIVE]
    compared = [output for output in judged if output.compared]
    notes = (*measurement.notes, *(note for output in judged for note in output.notes))
    if not failing and not undecided and not compared:
        sentence = f"nothing was compared: no output has an element to compare{_emptiness(judged)}"
        return Comparison(Outcome.INCONCLUSIVE, sentence, _NOTHING, notes=notes)
    worst = max(failing or undecided or compared, key=lambda output: (output.use, output.summary != OutputSummary()))
    number, counted = (len(failing), "failing outputs") if failing else (len(compared), "outputs")
    number = 1 if undecided and not failing else number
    of_several = f" (worst of {number} {counted})" if number > 1 else ""
    others = (output.sentence for output in undecided if output is not worst)
    worst_first = sorted(failing, key=lambda output: -output.use)
    return Comparison(
        worst.outcome,
        f"{worst.sentence}{of_several}",
        _summary(worst, judged, measurement),
        evidence=(*_evidence(worst_first),),
        notes=(*others, *notes),
        top1={output.name: output.top1 for output in judged if output.top1},
        failing={output.name: output.limit for output in worst_first},
        needs=_needs(judged),
    )


_NOTHING = ParitySummary("nothing compared", counts=OutputCounts())


def _summary(worst: JudgedOutput, judged: Sequence[JudgedOutput], measurement: ParityMeasurement) -> ParitySummary:
    counts = OutputCounts(
        output=worst.name,
        outputs=len(judged),
        failing_outputs=sum(output.outcome is Outcome.FAIL for output in judged),
        compared_elements=sum(output.compared for output in judged),
        masked_elements=sum(output.masked for output in judged),
    )
    return ParitySummary(worst.figure, measurement.precision, counts, worst=worst.summary)


def _needs(judged: Sequence[JudgedOutput]) -> dict[str, Need]:
    """What the outputs need; nothing is justified where another output of the call is wrong."""
    needs = {output.name: output.need for output in judged if output.need is not None}
    wrong = [output for output in judged if output.outcome is Outcome.FAIL and _is_wrong(output)]
    if not wrong:
        return needs
    refused = Need(refusal=f"another output of the call is wrong: {wrong[0].sentence}")
    own = {output.name: Need(refusal=f"{output.outcome.value}: {output.sentence}") for output in wrong}
    return own | {name: found if found.refusal else refused for name, found in needs.items()}


def _is_wrong(output: JudgedOutput) -> bool:
    """Whether an output fails by more than a lock."""
    return output.need is None or bool(output.need.refusal)


def _pretended(measurement: ParityMeasurement) -> Iterator[JudgedOutput]:
    """An answer that no arithmetic of this precision gives: eager's own, bit for bit."""
    telling, precision = measurement.unrounded or 0, measurement.precision.value
    if telling >= TELLING_ELEMENTS:
        sentence = (
            f"every output is eager's fp32 answer bit for bit, 0 of {telling} elements rounded otherwise: "
            f"nothing ran in {precision}"
        )
        yield JudgedOutput("", Outcome.FAIL, sentence, figure=f"fp32, not {precision}")


def _emptiness(judged: Sequence[JudgedOutput]) -> str:
    """Said of outputs that are empty under eager as well."""
    return next((f" ({output.sentence})" for output in judged if output.sentence), "")


def _evidence(worst_first: Sequence[JudgedOutput]) -> Iterator[str]:
    for output in worst_first[:MOST_EXPLAINED]:
        yield from output.evidence or (output.sentence,)
    left_out = len(worst_first) - MOST_EXPLAINED
    if left_out > 0:
        yield f"and {left_out} more failing outputs"
