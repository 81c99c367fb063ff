"""The terms that the outputs of a call are held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.measurement.parity import Share
from pytest_cpuaccel.core.pattern import closest, matches
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.judge.parity.defaults import COMPRESSED


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
        return replace(self.budget, mask=None, locks={}, logits_lock=None) == ParityBudget()

    def tolerance(self, name: str) -> Tolerance:
        """Return the tolerance that is set for an output; that of a candidate where none is.

        Raises:
            UsageError: two patterns fit it as closely.
        """
        given = self._given(name)
        return COMPRESSED if self.budget.of_candidate and given == Tolerance() else given

    def are_set_for(self, name: str) -> bool:
        """Whether the mark sets a tolerance for an output.

        Raises:
            UsageError: two patterns fit it as closely.
        """
        return self._given(name) != Tolerance()

    def _given(self, name: str) -> Tolerance:
        """The output's own tolerance, by the pattern that fits its name most closely, else the mark's."""
        try:
            own = closest(name, self.budget.outputs, matches)
        except UsageError as mistake:
            raise UsageError(f"parity(outputs=): {mistake}") from None
        return self.budget.tolerance if own is None else own


def check_rows(shapes: Mapping[str, Sequence[int]], terms: Terms) -> None:
    """Check that what is to be judged by its nearest neighbours has rows; ``shapes`` are those of real outputs.

    Raises:
        UsageError: the mark asks for neighbours and no output is a matrix, or asks for those of one that is none.
    """
    budget = terms.budget
    asked = {name: shape for name, shape in shapes.items() if terms.tolerance(name).neighbours is not None}
    if budget.tolerance.neighbours is not None and not any(len(shape) == 2 for shape in asked.values()):
        listed = ", ".join(f"{name} {_shaped(shape)}" for name, shape in shapes.items())
        raise UsageError(
            f"parity(neighbours=): no output has rows, (texts, dimensions), to be neighbours: {listed or 'no numbers'}"
        )
    for name, shape in asked.items():
        if len(shape) != 2 and terms.tolerance(name) is not budget.tolerance:
            raise UsageError(
                f"parity(outputs=): {name!r} is {_shaped(shape)} and has no rows to be neighbours; name an output "
                "(texts, dimensions)"
            )


def _shaped(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a number"


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
