"""The calls of a model's modules in one run: what each took and returned, as copies."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call_place import place_of_call
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.units import format_bytes

MOST_BYTES = 4 * 2**30
"""The most memory that the copies of one run may take."""


@dataclass(frozen=True)
class ModuleCall:
    """``place`` is as in :mod:`pytest_cpuaccel.core.call_place`; ``within`` that of the calling module.

    ``sources`` holds, by the name of an input, the places that returned that very tensor; "" for the model's own input.
    """

    place: str
    path: str
    type: str
    within: str | None
    inputs: Inputs
    output: Any
    sources: dict[str, tuple[str, ...]]

    @property
    def returns_what_it_took(self) -> bool:
        """Tell whether all that it returned are tensors that it was given, as by dropout in eval mode."""
        given = {id(leaf) for _, leaf in self.inputs.leaves()}
        return all(id(leaf) in given for leaf in tree.tensors(self.output))


@dataclass
class _Kept:
    tensor: weakref.ref[torch.Tensor]
    version: int
    copied: torch.Tensor
    sources: tuple[str, ...]


@dataclass
class ModuleCalls:
    """``finished`` holds the calls in the order in which they returned: those of a module's parts before its own."""

    finished: list[ModuleCall] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)
    _open: list[tuple[str, Inputs, dict[str, tuple[str, ...]]]] = field(default_factory=list)
    _kept: dict[int, _Kept] = field(default_factory=dict)
    _bytes: int = 0

    @contextlib.contextmanager
    def watching(self, module: nn.Module) -> Iterator[None]:
        """Record the calls of a module and its parts.

        Raises:
            BuildError: the copies take more than ``MOST_BYTES``.
        """
        with contextlib.ExitStack() as hooks:
            for path, part in module.named_modules():
                before = part.register_forward_pre_hook(self._entering(path), prepend=True, with_kwargs=True)
                after = part.register_forward_hook(self._leaving(path), with_kwargs=True)
                hooks.callback(before.remove)
                hooks.callback(after.remove)
            yield

    def _entering(self, path: str) -> Any:
        def enter(part: nn.Module, args: Any, kwargs: Any) -> None:  # noqa: ARG001
            self._counts[path] = self._counts.get(path, 0) + 1
            number = self._counts[path]
            place = place_of_call(path, number)
            given, sources = (args, kwargs), {}
            is_first = not self._open and number == 1
            copied = tree.map_leaves(lambda leaf: self._copied(leaf, "" if is_first else None), given)
            for name, leaf in tree.named_leaves(given):
                if isinstance(leaf, torch.Tensor) and (found := self._found(leaf)) and found.sources:
                    sources[name] = found.sources
            self._open.append((place, Inputs(*copied), sources))

        return enter

    def _leaving(self, path: str) -> Any:
        def leave(part: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG001
            place, inputs, sources = self._open.pop()
            copied = tree.map_leaves(lambda leaf: self._copied(leaf, place), output)
            within = self._open[-1][0] if self._open else None
            self.finished.append(ModuleCall(place, path, type(part).__name__, within, inputs, copied, sources))

        return leave

    def _found(self, tensor: torch.Tensor) -> _Kept | None:
        kept = self._kept.get(id(tensor))
        return kept if kept and kept.tensor() is tensor and kept.version == _version(tensor) else None

    def _copied(self, leaf: Any, source: str | None) -> Any:
        """A copy of a leaf, the same one for the same tensor; it notes who returned it."""
        if not isinstance(leaf, torch.Tensor) or not (leaf.is_nested or leaf.layout is torch.strided):
            return leaf
        kept = self._found(leaf)
        if kept is None:
            self._bytes += leaf.nbytes
            if self._bytes > MOST_BYTES:
                raise BuildError(f"what its modules return takes more than {format_bytes(MOST_BYTES)}")
            kept = _Kept(weakref.ref(leaf), _version(leaf), leaf.detach().clone(), ())
            self._kept[id(leaf)] = kept
        if source is not None:
            kept.sources = (*kept.sources, source)
        return kept.copied


def _version(tensor: torch.Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
