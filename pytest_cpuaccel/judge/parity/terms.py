"""The terms that the outputs of a call are held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.measurement.parity import Share
from pytest_cpuaccel.core.pattern import closest, matches
from pytest_cpuaccel.core.precision import Precision


@dataclass(frozen=True)
class Terms:
    """A budget, and the precision that sets what it leaves open.

    ``pooled`` are the top-1 answers of all calls of a test by output; an output that is not among them is judged by
    its own. Without ``in_full``, figures of a PASS that the budget does not ask for are left out where they cost
    another pass.
    """

    budget: ParityBudget
    precision: Precision
    pooled: Mapping[str, Share] = field(default_factory=dict)
    in_full: bool = True

    @property
    def are_default(self) -> bool:
        """Whether the budget sets no number and names no output."""
        return self.budget == ParityBudget(mask=self.budget.mask, locks=self.budget.locks)

    def tolerance(self, name: str) -> Tolerance:
        """Return the output's own tolerance, by the pattern that fits its name most closely, else the mark's.

        Raises:
            UsageError: two patterns fit it as closely.
        """
        try:
            own = closest(name, self.budget.outputs, matches)
        except UsageError as mistake:
            raise UsageError(f"parity(outputs=): {mistake}") from None
        return self.budget.tolerance if own is None else own


def check_names(names: Sequence[str], budget: ParityBudget) -> None:
    """Check that every output that a budget names is among those of the call.

    Raises:
        UsageError: one is not.
    """
    for pattern in (*budget.outputs, *budget.only):
        if not any(matches(name, pattern) for name in names):
            close = get_close_matches(pattern, names, 1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"parity: no output is named {pattern!r}; {meant}outputs: {', '.join(names) or 'none'}")
