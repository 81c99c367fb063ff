"""The search for a small set of modules that, kept in fp32, makes a mark hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

SECONDS = 60.0
"""How long builds are tried."""

MOST_BUILDS = 24

_MOST_MISRANKED = 2
"""How many modules may turn out to be needed that the ranking has last."""


@dataclass(frozen=True)
class Trial:
    """Whether the mark holds for a build, and its SQNR in dB, where that is known."""

    holds: bool
    sqnr: float | None = None


@dataclass
class Search:
    """``trial`` builds with these modules in fp32; ``builds`` were made in ``seconds``.

    ``is_late`` tells whether time was over, or ``MOST_BUILDS`` were made, before all was tried.
    """

    trial: Callable[[tuple[str, ...]], Trial]
    clock: Callable[[], float] = time.monotonic
    builds: int = 0
    seconds: float = 0.0
    is_late: bool = False
    tried: dict[tuple[str, ...], Trial] = field(default_factory=dict)

    def smallest(self, ranked: Sequence[str]) -> tuple[str, ...]:
        """Return a set with which the mark holds, out of all modules, the most sensitive first; empty for none.

        The shortest beginning of the ranking is sought, the first few modules before half of all, and pruned from its
        end. It never holds all modules: with them in fp32, nothing is left to reduce.
        """
        begin = self.clock()
        self._until = begin + SECONDS
        first = tuple(ranked[:1])
        is_alone = len(ranked) > 1 and self._holds(first)
        found = first if is_alone else self._beginning(self._with_needed_first(tuple(ranked)))
        if found:
            found = self._pruned(found, found[:-1])
        self.seconds = self.clock() - begin
        return found

    def _with_needed_first(self, ranked: tuple[str, ...]) -> tuple[str, ...]:
        """The ranking with those modules first without which even all others are not enough; empty if too many are."""
        for _ in range(_MOST_MISRANKED + 1):
            if self._holds(ranked[:-1]):
                return ranked
            if self.is_late:
                break
            ranked = (ranked[-1], *ranked[:-1])
        return ()

    def _beginning(self, ranked: tuple[str, ...]) -> tuple[str, ...]:
        """The shortest beginning with which the mark holds; it does with all modules but the last."""
        fails, holds = 0, len(ranked) - 1
        while holds - fails > 1 and not self.is_late:
            middle = min(max(1, 2 * fails), (fails + holds) // 2)
            if self._holds(ranked[:middle]):
                holds = middle
            else:
                fails = middle
        return ranked[: max(holds, 0)]

    def _pruned(self, kept: tuple[str, ...], candidates: Sequence[str]) -> tuple[str, ...]:
        """``kept`` without those candidates that are not needed; the least sensitive go first."""
        if not candidates or self.is_late:
            return kept
        fewer = tuple(path for path in kept if path not in candidates)
        if self._holds(fewer):
            return fewer
        if len(candidates) == 1:
            return kept
        middle = len(candidates) // 2
        return self._pruned(self._pruned(kept, candidates[middle:]), candidates[:middle])

    def _holds(self, paths: tuple[str, ...]) -> bool:
        if not paths:
            return False
        if paths not in self.tried:
            if self.clock() > self._until or self.builds >= MOST_BUILDS:
                self.is_late = True
                return False
            self.builds += 1
            self.tried[paths] = self.trial(paths)
        return self.tried[paths].holds
