"""What judging a bundle again comes to, beside what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from pytest_cpuaccel.bundles.bundle import RecordedVerdict
from pytest_cpuaccel.core.verdict import Kind, Outcome, Verdict


class Agreement(Enum):
    """How the verdicts of now stand to the recorded ones."""

    SAME = "the same verdict"
    ANOTHER = "another verdict"
    UNJUDGED = "what failed can't be judged"


@dataclass(frozen=True)
class Conclusion:
    """``sentence`` tells of every FAIL of then and of now."""

    agreement: Agreement
    sentence: str


@dataclass(frozen=True)
class _Change:
    """Of one verdict; a lower ``rank`` is worse, and the worst decides."""

    rank: int
    agreement: Agreement
    told: str


def concluded(recorded: Sequence[RecordedVerdict], now: Sequence[Verdict], unjudged: Mapping[Kind, str]) -> Conclusion:
    """Return the conclusion on all verdicts; ``unjudged`` says of a kind why there is none now.

    A FAIL that was none is the worst. Next is one that can't be judged now, then one that is gone.
    """
    before = {verdict.kind: verdict.outcome for verdict in recorded}
    after = {verdict.kind: verdict.outcome for verdict in now}
    changes = sorted(_changes(before, after, unjudged), key=lambda change: change.rank)
    same = " and ".join(kind for kind, was in before.items() if was is after.get(kind) is Outcome.FAIL)
    if not changes:
        if not same:
            return Conclusion(Agreement.UNJUDGED, "the bundle has no FAIL")
        return Conclusion(Agreement.SAME, f"{Agreement.SAME.value}: FAIL of {same}")
    agreement = changes[0].agreement
    told = "; ".join((*(change.told for change in changes), *([f"the same FAIL of {same}"] if same else [])))
    return Conclusion(agreement, told if agreement is Agreement.UNJUDGED else f"{agreement.value}: {told}")


def _changes(
    before: Mapping[Kind, Outcome], after: Mapping[Kind, Outcome], unjudged: Mapping[Kind, str]
) -> Iterator[_Change]:
    for kind in dict.fromkeys((*before, *after)):
        was, found = before.get(kind), after.get(kind)
        if found is Outcome.FAIL and was is not Outcome.FAIL:
            then = "was not judged" if was is None else f"was {was.value}"
            yield _Change(0, Agreement.ANOTHER, f"{kind} {then} and is FAIL")
        if was is not Outcome.FAIL:
            continue
        if found is None:
            why = unjudged.get(kind, "nothing tells of it")
            yield _Change(1, Agreement.UNJUDGED, f"{kind} was FAIL, and can't be judged: {why}")
        if found is Outcome.INCONCLUSIVE:
            yield _Change(1, Agreement.UNJUDGED, f"{kind} was FAIL, and can't be told now")
        if found is Outcome.PASS:
            yield _Change(2, Agreement.ANOTHER, f"{kind} was FAIL and is PASS")
