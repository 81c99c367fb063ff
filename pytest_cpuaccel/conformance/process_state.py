"""The state of the process: a backend must leave it as it was."""

from __future__ import annotations

import logging
import os
import pickle
import random
import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class ProcessState:
    """The state of the process, each part in a form that ``==`` can compare."""

    gradients: bool
    inference_mode: bool
    autocast: bool
    default_dtype: str
    threads: int
    deterministic_algorithms: bool
    mkldnn: bool
    quantised_engine: str
    torch_generator: bytes
    numpy_generator: bytes
    python_generator: bytes
    warning_filters: tuple[Any, ...]
    logging: tuple[Any, ...]
    environment: tuple[tuple[str, str], ...]
    folder: str


def state_now() -> ProcessState:
    """Return the state of the process now."""
    root = logging.getLogger()
    return ProcessState(
        gradients=torch.is_grad_enabled(),
        inference_mode=torch.is_inference_mode_enabled(),
        autocast=torch.is_autocast_enabled("cpu"),
        default_dtype=str(torch.get_default_dtype()),
        threads=torch.get_num_threads(),
        deterministic_algorithms=torch.are_deterministic_algorithms_enabled(),
        mkldnn=bool(torch.backends.mkldnn.enabled),
        quantised_engine=torch.backends.quantized.engine,
        torch_generator=bytes(torch.get_rng_state().numpy()),
        numpy_generator=pickle.dumps(np.random.get_state()),
        python_generator=pickle.dumps(random.getstate()),
        warning_filters=tuple(warnings.filters),
        logging=(root.level, tuple(root.handlers), root.disabled, root.manager.disable),
        environment=tuple(sorted(os.environ.items())),
        folder=str(Path.cwd()),
    )


def differences(before: ProcessState, after: ProcessState) -> tuple[str, ...]:
    """Return the differences between two states; short values are shown."""
    return tuple(
        f"{field.name.replace('_', ' ')}{_change(getattr(before, field.name), getattr(after, field.name))}"
        for field in fields(ProcessState)
        if getattr(before, field.name) != getattr(after, field.name)
    )


def _change(before: Any, after: Any) -> str:
    if isinstance(before, tuple):
        lost, gained = [item for item in before if item not in after], [item for item in after if item not in before]
        return "".join(f", {word}: {items}" for word, items in (("lost", lost), ("gained", gained)) if items)
    short = f" was {before!r}, is {after!r}"
    return short if len(short) < 80 else " moved on"
