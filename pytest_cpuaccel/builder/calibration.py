"""Calibration data: representative inputs of a model, for backends that quantise activations."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch

from pytest_cpuaccel.builder.accepted_inputs import check_devices
from pytest_cpuaccel.builder.fingerprint import inputs_digest
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs

_WHAT_WOULD_DO = "give a list of inputs: dicts of keywords, tuples of arguments, or tensors"


@dataclass(frozen=True)
class Calibration:
    """Inputs of forward calls; ``given`` is false if the user gave none and a call's own inputs are used."""

    inputs: tuple[Inputs, ...] = ()
    given: bool = True

    @functools.cached_property
    def digest(self) -> str:
        """Return a digest of all values; ``""`` where there are none."""
        if not self.inputs:
            return ""
        return hashlib.sha256("".join(map(inputs_digest, self.inputs)).encode()).hexdigest()

    @property
    def facts(self) -> dict[str, Scalar]:
        """Return the number of items and their origin, as facts of a calibrated build."""
        if not self.inputs:
            return {}
        return {"calibration_items": len(self.inputs), "calibration": "given" if self.given else "the first call"}


NONE = Calibration()
"""For backends that need no data."""


def calibration_of(data: object, of: str = "calibration data") -> Calibration:
    """Return the calibration data that a user gave; ``of`` is the user's name for it, for messages.

    Raises:
        UsageError: not a collection of inputs, one that can be read only once, empty, or not on the CPU.
    """
    is_one_input = isinstance(data, (Mapping, torch.Tensor, str))
    if is_one_input or not isinstance(data, Iterable):
        raise UsageError(f"{of}: {type(data).__name__} is no list of inputs; {_WHAT_WOULD_DO}")
    if isinstance(data, Iterator):
        raise UsageError(f"{of}: {type(data).__name__} can be read only once; return a list")
    inputs = tuple(inputs_of(item, f"{of}: item {place}") for place, item in enumerate(data))
    if not inputs:
        raise UsageError(f"{of}: there are no items; {_WHAT_WOULD_DO}")
    return Calibration(inputs)


def inputs_of(item: object, of: str) -> Inputs:
    """Return the inputs of one call that a user gave: a dict of keywords, a tuple of arguments, or a tensor.

    ``of`` says which inputs, for messages.

    Raises:
        UsageError: none of these, without a tensor, or not on the CPU.
    """
    if isinstance(item, Inputs):
        inputs = item
    elif isinstance(item, Mapping):
        inputs = Inputs(kwargs=dict(item))
    elif isinstance(item, (tuple, torch.Tensor)):
        inputs = Inputs(args=item if isinstance(item, tuple) else (item,))
    else:
        raise UsageError(f"{of} is of type {type(item).__name__}; {_WHAT_WOULD_DO}")
    if next(tree.tensors([inputs.args, inputs.kwargs]), None) is None:
        raise UsageError(f"{of} has no tensor in it; tokenizers need return_tensors='pt'")
    check_devices(inputs, of=f"{of}: ")
    return inputs
