"""Models and backends whose cost in a fresh process is known, or which end it."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from pytest_cpuaccel.core.backend import BuiltModel, Subject
from tests import doubles

HELD_BYTES = 200 << 20
HOURS_S = 7200
ASLEEP = "asleep"
"""The file in which a process that fell asleep leaves its id."""


class Holder(nn.Module):
    """Has 200 MiB of weights and reads as many of their bytes as it is told: (n,) -> (n,)."""

    def __init__(self, read: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HELD_BYTES // 4), requires_grad=False)
        self.read = read

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.weight[: self.read // 4].sum()


def in_fresh_process() -> bool:
    return Path(sys.argv[0]).name == "worker.py"


def _load_hog(subject: Subject, folder: Path | None) -> BuiltModel:
    built = doubles.TWIN.load(subject, folder)
    hoard = torch.ones(HELD_BYTES // 4) if in_fresh_process() else torch.ones(1)
    return replace(built, forward=lambda x: built.forward(x) + 0 * hoard[0])


def _load_dying(subject: Subject, folder: Path | None) -> BuiltModel:
    if in_fresh_process():
        os.write(1, b"terminate called after throwing an instance of 'std::bad_alloc'")
        os.abort()
    return doubles.TWIN.load(subject, folder)


def _load_sleeping(subject: Subject, folder: Path | None) -> BuiltModel:
    if in_fresh_process():
        Path(f"{ASLEEP}.partial").write_text(str(os.getpid()))
        Path(f"{ASLEEP}.partial").rename(ASLEEP)
        time.sleep(HOURS_S)
    return doubles.TWIN.load(subject, folder)


HOG = replace(doubles.TWIN, name="hog", load=_load_hog)
DYING = replace(doubles.TWIN, name="dying", load=_load_dying)
SLEEPING = replace(doubles.TWIN, name="sleeping", load=_load_sleeping)
