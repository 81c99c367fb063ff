"""A first run in a fresh process, of native code that may crash its process."""

from __future__ import annotations

from pytest_cpuaccel.core.errors import BuildError, BuildFailureError
from pytest_cpuaccel.machine.child_process import Program, run_program

_NO_POOL = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
"""Nothing is compiled here, but importing Intel Extension for PyTorch would start Inductor's pool: 5 of 11 CPU s."""

_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGBUS", "SIGXCPU", "SIGXFSZ")
"""Signals of programs that do not crash by themselves; SIGBUS comes where a file no longer fits on its disk."""


def check_survival(program: str, *arguments: str, dies: str, patience_s: float = 120.0) -> None:
    """Run a Python program with these arguments; its output and exceptions are ignored.

    A program that is not done in time is ended and counts as no crash. ``dies`` is the message for a crash, with ``{}``
    for the signal's name.

    Raises:
        BuildError: it died of a signal.
        BuildFailureError: the signal is one that others send, as the kernel does when the memory is full.
    """
    ended = run_program(Program(("-c", program, *arguments), _NO_POOL), patience_s)
    if ended is not None and ended.signal:
        kind = BuildFailureError if ended.signal in _FROM_OUTSIDE else BuildError
        raise kind(dies.format(ended.signal))
