"""Eager's answers, kept up to a limit of memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.identity import ByIdentity
from pytest_cpuaccel.core.keeping import REFERENCES_BYTES
from pytest_cpuaccel.measure.parity.references import References

Key = tuple[str, str, tuple[str, ...]]
"""The digest of a call's inputs, a precision, and the outputs in which eager was seen to agree with itself."""


@dataclass
class Page:
    """Answers of one model. ``stamp`` is that of its weights then, ``turn`` the time of the last use."""

    stamp: str
    references: References
    turn: int = 0

    @property
    def size(self) -> int:
        """Return its tensors' bytes; a tensor that is there twice counts once."""
        tensors = {id(item): item for item in tree.tensors(self.references)}
        return sum(item.numel() * item.element_size() for item in tensors.values())


@dataclass
class Pages:
    """Holds pages of all models up to ``limit_bytes``; those that were asked for longest ago make room."""

    limit_bytes: int = REFERENCES_BYTES
    _of: ByIdentity[nn.Module, dict[Key, Page]] = field(default_factory=ByIdentity)
    _turns: Iterator[int] = field(default_factory=itertools.count)

    def get(self, model: nn.Module, key: Key) -> Page | None:
        """Return a page of a model; None where there is none."""
        page = self._of.setdefault(model, dict).get(key)
        if page is not None:
            page.turn = next(self._turns)
        return page

    def put(self, model: nn.Module, key: Key, page: Page) -> None:
        """Keep a page, and no more than there is room for."""
        page.turn = next(self._turns)
        self._of.setdefault(model, dict)[key] = page
        held = [(item, pages, place) for pages in self._of.values() for place, item in pages.items()]
        room = self.limit_bytes
        for item, pages, place in sorted(held, key=lambda entry: -entry[0].turn):
            room -= item.size
            if room < 0:
                del pages[place]

    def drop(self, model: nn.Module, key: Key) -> None:
        """Forget a page, if it is there."""
        self._of.setdefault(model, dict).pop(key, None)
