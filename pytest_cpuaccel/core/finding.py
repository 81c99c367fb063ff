"""What was found about one workload of one test: its verdicts, and the flat facts in which they travel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.verdict import Verdict


@dataclass(frozen=True)
class Finding:
    """``call`` says what was done (``forward 2x10``); ``verdicts`` come in the order in which they were reached."""

    model: str
    backend: str
    call: str
    verdicts: tuple[Verdict, ...]

    def facts(self) -> Iterator[tuple[str, Scalar]]:
        """Yield dotted names with scalars: ``parity.verdict``, ``latency.p50_ns``."""
        yield from (("model", self.model), ("backend", self.backend), ("call", self.call))
        for verdict in self.verdicts:
            yield f"{verdict.kind}.verdict", verdict.outcome.value
            yield f"{verdict.kind}.sentence", verdict.sentence
            for name, value in verdict.facts.items():
                yield f"{verdict.kind}.{name}", value
