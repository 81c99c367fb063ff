"""A check: one measured number of an output against the one allowed."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_cpuaccel.core.parity_questions import ElementLimit
from pytest_cpuaccel.core.parity_summary import OutputSummary
from pytest_cpuaccel.core.verdict import Outcome

_CLOSE = 1e-3
"""A figure that lies this close to its limit, as a share of it, is calculated again in fp64; fp32 sums err by 1e-5."""


@dataclass(frozen=True)
class Check:
    """``statement`` goes on from the output's name and holds both numbers; ``figure`` is its short form.

    INCONCLUSIVE is the ``outcome`` where eager's own error is too large to judge by.

    ``use`` is the share of what is allowed that was used: above 1 where not passed. ``limit`` is the
    difference above which an element counts as off; where that hangs on the element, by ``tolerance``, which is rtol
    and atol, it is that of the largest. ``beyond_size`` is what a FAIL shows that no limit of the error's size allows,
    in words: of what varies among the rows, and of one number throughout.
    """

    outcome: Outcome
    use: float
    statement: str
    figure: str
    limit: float = 0.0
    tolerance: ElementLimit | None = None
    summary: OutputSummary = field(default_factory=OutputSummary)
    beyond_size: str = ""

    @property
    def is_close(self) -> bool:
        """Tell whether sums that are a little less exact could have come out on the other side of the limit."""
        return self.tolerance is None and abs(self.use - 1) < _CLOSE


def passes_if(holds: bool) -> Outcome:
    """Return PASS where a check holds, else FAIL."""
    return Outcome.PASS if holds else Outcome.FAIL
