"""A build: a built model, and what it was made of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_cpuaccel.builder.example_record import Figures
from pytest_cpuaccel.builder.state.digest import Digests
from pytest_cpuaccel.builder.state.kept import State
from pytest_cpuaccel.core.backend import BuiltModel, Subject


@dataclass(frozen=True)
class Build:
    """``model`` is the built model.

    ``signature`` is that of the inputs it was made for, ``artifact()`` a context with its artifact's folder. ``stamp``
    and ``answers`` are those of the eager model at that time, ``state`` what its calls change, ``returned`` the input
    that they return, as in :class:`~pytest_cpuaccel.core.call.Answer`. ``digests`` are those of its state.
    """

    model: BuiltModel
    signature: str
    subject: Subject
    artifact: Callable[[], contextlib.AbstractContextManager[Path | None]]
    stamp: str
    answers: Figures
    state: State
    digests: Digests
    returned: int | str | None = None
