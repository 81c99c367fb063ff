"""Digests of a model's state; unlike a snapshot they don't keep the model alive."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.builder.source_code import is_project_code
from pytest_cpuaccel.builder.state.kept import MEANT_BY_PEOPLE, State
from pytest_cpuaccel.builder.state.note import SCALARS, Note, generator_state
from pytest_cpuaccel.builder.state.snapshot import Snapshot

Digests = Mapping[tuple[str, str], str]
"""By module path and attribute, or by ``OUTSIDE`` and the name of a variable."""

OUTSIDE = "outside"

_WEIGHTS = ("_parameters", "_buffers")


def digests_of(state: Snapshot) -> Digests:
    """Return digests of attributes that a model's answers may depend on, and of variables outside, without weights."""
    found: dict[tuple[str, str], str] = {}
    for path, module in state.model.named_modules():
        is_own = is_project_code(type(module))
        note = state.notes.get(id(module))
        for name, value in note.saved.items() if note else ():
            if name not in _WEIGHTS and (is_own or name in MEANT_BY_PEOPLE):
                found[path, name] = _Digest(state.notes, is_public=not is_own).of(value)
    for variable, value in state.outside:
        found[OUTSIDE, variable.name] = _Digest(state.notes).of(value)
    return found


def are_changed(before: Digests, now: Digests, kept: State) -> bool:
    """Tell whether any state differs that calls don't change by themselves; ``kept`` holds what calls change."""
    own = {*kept.touched, *kept.attributes, *((OUTSIDE, name) for name in (*kept.outside, *kept.names))}
    return any(before.get(place) != now.get(place) for place in {*before, *now} - own)


@dataclass
class _Digest:
    """With ``is_public``, names that begin with an underscore are left out: a library's internals."""

    notes: Mapping[int, Note]
    is_public: bool = False
    _hash: Any = field(default_factory=hashlib.sha256)
    _seen: set[int] = field(default_factory=set)

    def of(self, value: Any) -> str:
        self._add(value)
        return str(self._hash.hexdigest())

    def _add(self, value: Any) -> None:
        self._say(type(value).__qualname__)
        if isinstance(value, SCALARS):
            self._say(repr(value))
        elif isinstance(value, nn.Module) or id(value) not in self.notes:
            self._say(str(id(value)))
        elif id(value) not in self._seen:
            self._seen.add(id(value))
            self._add_noted(self.notes[id(value)])

    def _add_noted(self, note: Note) -> None:
        saved = note.saved
        if isinstance(saved, (torch.Tensor, np.ndarray)):
            self._say(str(saved.shape))
            self._hash.update(_bytes(saved))
        elif isinstance(saved, dict):
            self._add_items(saved.items())
            self._add_items(note.own.items())
        elif isinstance(note.value, (torch.Generator, np.random.Generator, np.random.RandomState)):
            self._say(str(generator_state(note.value)))
        else:
            self._say(repr(saved))

    def _add_items(self, items: Iterable[tuple[Any, Any]]) -> None:
        for name, value in items:
            if not (self.is_public and str(name).startswith("_")):
                self._say(repr(name) if isinstance(name, SCALARS) else str(id(name)))
                self._add(value)

    def _say(self, text: str) -> None:
        self._hash.update(text.encode(errors="surrogatepass") + b"\0")


def _bytes(saved: torch.Tensor | np.ndarray) -> bytes:
    if isinstance(saved, torch.Tensor):
        dense = saved if saved.layout is torch.strided else saved.to_dense()
        saved = dense.contiguous().view(-1).view(torch.uint8).numpy()
    return saved.tobytes()
