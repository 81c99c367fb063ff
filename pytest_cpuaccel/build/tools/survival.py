"""A trial in a forked process, of native code that may take its process with it."""

from __future__ import annotations

import faulthandler
import os
import signal
import time
import warnings
from collections.abc import Callable

import torch

from pytest_cpuaccel.core.errors import BuildError

_POLL_S = 0.01


def check_survival(run: Callable[[], object], runner: str, patience_s: float = 60.0) -> None:
    """Run something in a copy of this process, on one thread; what it returns or raises is of no interest.

    A copy that is not done in time is ended, and nothing is known then.

    Raises:
        BuildError: it died of a signal.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the copy neither has nor waits for
        pid = os.fork()
    if pid == 0:
        _run_and_leave(run)
    status = _status(pid, time.monotonic() + patience_s)
    if status is not None and os.WIFSIGNALED(status):
        raise BuildError(f"{runner} dies of {signal.Signals(os.WTERMSIG(status)).name} when it runs this model")


def _run_and_leave(run: Callable[[], object]) -> None:
    try:
        faulthandler.disable()  # a death is told by the parent
        torch.set_num_threads(1)
        run()
    finally:
        os._exit(0)


def _status(pid: int, deadline_s: float) -> int | None:
    """The status that a child ends with; None of one that has to be ended."""
    while time.monotonic() < deadline_s:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(_POLL_S)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None
