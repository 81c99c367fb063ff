from __future__ import annotations

import os
import signal
import time

import pytest

from pytest_cpuaccel.build.tools.survival import check_survival
from pytest_cpuaccel.core.errors import BuildError


def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def fail() -> None:
    raise ValueError("told by whoever runs it in earnest")


def test_a_death_by_signal_is_a_refusal() -> None:
    with pytest.raises(BuildError, match=r"^Some runtime dies of SIGSEGV when it runs this model$"):
        check_survival(die, "Some runtime")


@pytest.mark.parametrize("run", [list, fail])
def test_what_returns_or_raises_survives(run: object) -> None:
    check_survival(run, "Some runtime")  # type: ignore[arg-type]


def test_what_hangs_is_ended_and_not_refused() -> None:
    check_survival(lambda: time.sleep(600), "Some runtime", patience_s=0.05)
