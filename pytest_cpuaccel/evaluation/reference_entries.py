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
class ReferenceEntry:
    """Answers of one model. ``stamp`` is that of its weights then, ``used`` the time of the last use."""

    stamp: str
    references: References
    used: int = 0

    @property
    def size(self) -> int:
        """Return its tensors' bytes; a tensor that is there twice counts once."""
        tensors = {id(item): item for item in tree.tensors(self.references)}
        return sum(item.numel() * item.element_size() for item in tensors.values())


@dataclass
class ReferenceEntries:
    """Holds entries of all models up to ``limit_bytes``; those that were asked for longest ago make room."""

    limit_bytes: int = REFERENCES_BYTES
    _of: ByIdentity[nn.Module, dict[Key, ReferenceEntry]] = field(default_factory=ByIdentity)
    _uses: Iterator[int] = field(default_factory=itertools.count)

    def get(self, model: nn.Module, key: Key) -> ReferenceEntry | None:
        """Return an entry of a model; None where there is none."""
        entry = self._of.setdefault(model, dict).get(key)
        if entry is not None:
            entry.used = next(self._uses)
        return entry

    def put(self, model: nn.Module, key: Key, entry: ReferenceEntry) -> None:
        """Keep an entry, and no more than there is room for."""
        entry.used = next(self._uses)
        self._of.setdefault(model, dict)[key] = entry
        held = [(item, entries, place) for entries in self._of.values() for place, item in entries.items()]
        room = self.limit_bytes
        for item, entries, place in sorted(held, key=lambda kept: -kept[0].used):
            room -= item.size
            if room < 0:
                del entries[place]

    def drop(self, model: nn.Module, key: Key) -> None:
        """Forget an entry, if it is there."""
        self._of.setdefault(model, dict).pop(key, None)
