"""A first run in a fresh process, of native code that may crash its process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

from pytest_cpuaccel.core.errors import BuildError

_NO_POOL = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
"""Nothing is compiled here, but importing Intel Extension for PyTorch would start Inductor's pool: 5 of 11 CPU s."""


def check_survival(program: str, *arguments: str, dies: str, patience_s: float = 120.0) -> None:
    """Run a Python program with these arguments; its output and exceptions are ignored.

    A program that is not done in time is ended and counts as no crash. ``dies`` is the message for a crash, with ``{}``
    for the signal's name.

    Raises:
        BuildError: it died of a signal.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONSAFEPATH": "1"} | _NO_POOL
    with contextlib.suppress(subprocess.TimeoutExpired):
        ended = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env=environment,
            timeout=patience_s,
        )
        if ended.returncode < 0:
            raise BuildError(dies.format(signal.Signals(-ended.returncode).name))
