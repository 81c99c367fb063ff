from __future__ import annotations

import pytest

from pytest_cpuaccel.backends.toolkit.crash_guard import check_survival
from pytest_cpuaccel.core.errors import BuildError, BuildFailureError, is_refusal

DIES = "Some runtime dies of {} when it runs this model"


KILL = "import os, sys; os.kill(os.getpid(), int(sys.argv[1]))"


def test_a_crash_is_a_refusal() -> None:
    with pytest.raises(BuildError, match=r"^Some runtime dies of SIGSEGV when it runs this model$") as error:
        check_survival(KILL, "11", dies=DIES)
    assert is_refusal(error.value)


@pytest.mark.parametrize("signal", ["9", "15"])
def test_a_death_by_the_hand_of_another_is_none(signal: str) -> None:
    with pytest.raises(BuildFailureError):
        check_survival(KILL, signal, dies=DIES)


@pytest.mark.parametrize("program", ["", "raise ValueError", "raise SystemExit(3)"])
def test_what_returns_or_raises_survives(program: str) -> None:
    check_survival(program, dies=DIES)


def test_what_hangs_is_ended_and_not_refused() -> None:
    check_survival("import time; time.sleep(600)", dies=DIES, patience_s=0.05)
