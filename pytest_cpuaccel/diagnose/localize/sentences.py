"""What a localization says on the terminal, in five lines at most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isinf

from pytest_cpuaccel.core.localization import Localization, ModuleError

_SHOWN = 5
"""How many modules of the growth are named."""


def lines(found: Localization) -> tuple[str, ...]:
    """Return the lines; one where no module can be named."""
    return tuple(_lines(found))


def _lines(found: Localization) -> Iterator[str]:
    if not found.module:
        yield f"no module is named as the first wrong one: {found.note}"
    else:
        note = f" ({found.note})" if found.note else ""
        yield f"first wrong module: '{found.module}' ({found.type}): the error {_where(found)}{note}"
        yield f"  error over eager's own, both against fp64: {_ratio(found.at_output)} at its output{_at_input(found)}"
        if found.actual is not None and found.expected is not None:
            yield f"  its worst element is {found.actual:.6g}, in eager {found.expected:.6g}"
    if found.growth:
        yield f"  growth: {', '.join(f'{each.module} {_ratio(each.ratio)}' for each in _shown(found))}"
    if found.method:
        yield f"  found by {found.method}"


def _where(found: Localization) -> str:
    if found.starts_inside is None:
        return "shows there first"
    return "starts inside it" if found.starts_inside else "arrives at its input"


def _at_input(found: Localization) -> str:
    return "" if found.at_input is None else f", {_ratio(found.at_input)} at its input"


def _ratio(ratio: float | None) -> str:
    if ratio is None or isinf(ratio):
        return "?" if ratio is None else "infinite"
    return f"{ratio:,.1f}x" if ratio < 100 else f"{ratio:,.0f}x"


def _shown(found: Localization) -> Sequence[ModuleError]:
    """The modules just before and after the first wrong one, and the last."""
    wrong = next((at for at, each in enumerate(found.growth) if each.module == found.module), 0)
    begin = max(0, wrong - 2)
    around = found.growth[begin : begin + _SHOWN - 1]
    last = found.growth[-1]
    return around if last in around else (*around, last)
