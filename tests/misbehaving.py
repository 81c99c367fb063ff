"""Backends that go wrong in the ways that the support matrix must survive; they can be sent to another process."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.errors import BuildError


def _built(forward: Any) -> BuiltModel:
    return BuiltModel(forward, threads=torch.get_num_threads())


def load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    return _built(subject.fresh_module())


def load_off_by_one(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    module: nn.Module = subject.fresh_module()
    return _built(lambda **kwargs: tree.map_leaves(lambda leaf: leaf + 1, module(**kwargs)))


def load_refusing(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    raise BuildError("upstream has no kernel for aten::gelu")


def load_for_one_shape(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    if subject.inputs.kwargs["x"].shape[0] != 2:
        raise BuildError("takes a batch of 2, no other")
    return replace(load(subject, None), accepts=lambda inputs: inputs.kwargs["x"].shape[0] == 2)


def load_raising_later(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    def forward(**kwargs: Any) -> Any:  # noqa: ARG001
        raise KeyError("lost_key")

    return _built(forward)


def load_dying(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    os.write(1, b"terminate called after throwing an instance of 'std::bad_alloc'")
    os.kill(os.getpid(), signal.SIGABRT)
    raise AssertionError("still alive")


def load_hanging(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    time.sleep(3600)
    raise AssertionError("woke up")


GOOD = Backend(name="good", summary="eager again", load=load)
OFF_BY_ONE = replace(GOOD, name="off-by-one", load=load_off_by_one)
REFUSING = replace(GOOD, name="refusing", load=load_refusing)
ONE_SHAPE = replace(GOOD, name="one-shape", load=load_for_one_shape)
RAISING = replace(GOOD, name="raising", load=load_raising_later)
DYING = replace(GOOD, name="dying", load=load_dying)
HANGING = replace(GOOD, name="hanging", load=load_hanging)
