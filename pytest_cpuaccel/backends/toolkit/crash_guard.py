"""A first run in a fresh process, of native code that may crash its process."""

from __future__ import annotations

from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.machine.child_process import Program, run_program

_NO_POOL = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
"""Nothing is compiled here, but importing Intel Extension for PyTorch would start Inductor's pool: 5 of 11 CPU s."""


def check_survival(program: str, *arguments: str, dies: str, patience_s: float = 120.0) -> None:
    """Run a Python program with these arguments; its output and exceptions are ignored.

    A program that is not done in time is ended and counts as no crash. ``dies`` is the message for a crash, with ``{}``
    for the signal's name.

    Raises:
        BuildError: it died of a signal.
    """
    ended = run_program(Program(("-c", program, *arguments), _NO_POOL), patience_s)
    if ended is not None and ended.signal:
        raise BuildError(dies.format(ended.signal))
