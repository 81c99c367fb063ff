"""Questions about an output: what is to be measured of it beside sizes, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields

ElementLimit = tuple[float, float]
"""An rtol and an atol, as in ``torch.testing.assert_close``."""


@dataclass(frozen=True)
class LikelyLimit:
    """The limit that an output will probably be held to, which lets one pass find its worst element.

    ``scaled_atol`` is in units of eager's root mean square, and holds only where eager has no fp64 answer.
    """

    rtol: float
    atol: float = 0.0
    scaled_atol: float | None = None


@dataclass(frozen=True)
class ParityQuestions:
    """Each costs another look at the elements of an output.

    ``in_fp64``: all sums are calculated in fp64. ``worst``: the element that uses most of this limit. ``constants``:
    whether a side is one number throughout. ``relative``: the largest relative difference. ``top1``: the share of
    equal top-1 answers. ``excess``: how many elements are off by more than this limit, and which uses most of
    ``farthest``. ``nonfinite``: how many elements are NaN or infinite. ``neighbours``: how many nearest neighbours are
    kept among rows. ``spread``: by how much eager's rows differ. ``elsewhere``: what is left of a difference where
    eager had no choice between equal scores.
    """

    likely: LikelyLimit | None = None
    in_fp64: bool = False
    worst: ElementLimit | None = None
    constants: bool = False
    relative: bool = False
    top1: bool = False
    excess: ElementLimit | None = None
    farthest: ElementLimit = (0.0, 1.0)
    nonfinite: bool = False
    neighbours: bool = False
    spread: bool = False
    elsewhere: bool = False

    def cover(self, others: ParityQuestions) -> bool:
        """Tell whether all that ``others`` ask is asked here too."""
        nothing = ParityQuestions()
        names = [item.name for item in fields(self)]
        return all(getattr(others, name) in (getattr(nothing, name), getattr(self, name)) for name in names)
