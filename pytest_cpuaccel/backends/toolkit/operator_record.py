"""The operators that torch runs in a call, each with its number formats, its time and the library kernels in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_cpuaccel.backends.toolkit.library_kernel import LibraryKernel, kernels_in
from pytest_cpuaccel.core import tree

_PRECISIONS = {
    torch.float32: "fp32",
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
    torch.float64: "fp64",
    torch.int8: "int8",
    torch.uint8: "int8",
    torch.qint8: "int8",
    torch.quint8: "int8",
}
_NO_WORK = frozenset(
    (
        "_assert_async",
        "_local_scalar_dense",
        "_reshape_alias",
        "_unsafe_view",
        "alias",
        "detach",
        "empty",
        "empty_like",
        "empty_strided",
        "is_pinned",
        "lift_fresh",
        "new_empty",
        "new_empty_strided",
        "resize_",
        "resolve_conj",
        "resolve_neg",
        "set_",
    )
)
"""Operators that neither compute nor move data, beside views."""


@dataclass(frozen=True)
class OperatorRun:
    """``operator`` is its name with its namespace, ``aten::addmm``.

    ``formats`` are those of its tensors that are no indices or masks. ``stored`` is that of its largest constant of
    two dimensions or more; None where it takes none.
    """

    operator: str
    formats: tuple[str, ...]
    stored: str | None
    kernels: tuple[LibraryKernel, ...]
    us: float


class OperatorRecord(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """``runs`` lists, while entered, what ran; ``given`` are the tensors that the call takes.

    ``lines()`` returns what libraries wrote since it was last called. A tensor is a constant if the call was not given
    it and no operator made it: a weight, or what was made of weights alone.
    """

    def __init__(self, given: Any, lines: Callable[[], str] = str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.runs: list[OperatorRun] = []
        self._lines = lines
        self._made = {place for tensor in tree.tensors(given) if (place := _place(tensor)) is not None}
        self._constants: dict[int, str | None] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(kind not in (torch.Tensor, torch.nn.Parameter) for kind in types):
            return NotImplemented  # a kind of its own runs operators on plain tensors, which are seen then
        kwargs = kwargs or {}
        taken = [*tree.tensors([args, kwargs])]
        stored = self._stored(taken)
        self._lines()
        start = time.perf_counter_ns()
        output = func(*args, **kwargs)
        us = (time.perf_counter_ns() - start) / 1e3
        self._note(taken, output, stored)
        if not (_is_view(func) or _name(func).rpartition("::")[2] in _NO_WORK):
            formats = tuple(_PRECISIONS[tensor.dtype] for tensor in taken if tensor.dtype in _PRECISIONS)
            self.runs.append(OperatorRun(_name(func), formats, stored, tuple(kernels_in(self._lines())), us))
        return output

    def _stored(self, taken: list[torch.Tensor]) -> str | None:
        constants = [tensor for tensor in taken if tensor.dim() > 1 and self._is_constant(tensor)]
        if not constants:
            return None
        largest = max(constants, key=lambda tensor: tensor.numel())
        place = _place(largest)
        known = self._constants.get(place) if place is not None else None
        return known or _PRECISIONS.get(largest.dtype)

    def _is_constant(self, tensor: torch.Tensor) -> bool:
        place = _place(tensor)
        return place is not None and (place in self._constants or place not in self._made)

    def _note(self, taken: list[torch.Tensor], output: Any, stored: str | None) -> None:
        """Tell for the output whether it is a constant; one in memory of the inputs is what these are."""
        before = {_place(tensor) for tensor in taken}
        is_constant = bool(taken) and stored is not None and all(map(self._is_constant, taken))
        for place in {_place(tensor) for tensor in tree.tensors([output])} - before - {None}:
            assert place is not None
            self._made.add(place)
            self._constants.pop(place, None)
            if is_constant:
                self._constants[place] = stored


def _name(func: Any) -> str:
    return str(func._schema.name)


def _is_view(func: Any) -> bool:
    """Tell whether an operator returns memory of its inputs and writes none."""
    returns = func._schema.returns
    infos = [item.alias_info for item in returns]
    return bool(infos) and all(info is not None and not info.is_write for info in infos)


def _place(tensor: torch.Tensor) -> int | None:
    """Where a tensor's memory begins; None for a tensor without memory of its own kind, such as a sparse one."""
    try:
        return tensor.untyped_storage().data_ptr() or None
    except (NotImplementedError, RuntimeError):
        return None
