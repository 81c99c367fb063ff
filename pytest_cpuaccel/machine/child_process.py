"""A Python process that this one starts, waits for, and ends with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """A command line of Python: ``arguments`` follow the interpreter.

    ``environment`` is added to that of this process. ``log`` takes what the program prints; None discards it.
    ``descriptors`` are open files of this process that the program inherits under their numbers. ``interpreter`` is
    another Python, which imports from where it does by itself; "" for this one, which imports from where this process
    does. It is started in ``folder``, by default in that of this process.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    descriptors: tuple[int, ...] = ()
    interpreter: str = ""
    folder: Path | None = None


@dataclass(frozen=True)
class ExitStatus:
    """``code`` is as ``subprocess`` gives it, ``last_line`` the last line that the process printed to its log."""

    code: int
    last_line: str = ""

    @property
    def signal(self) -> str:
        """Return the name of the signal that ended the process; "" where none did."""
        return signal.Signals(-self.code).name if self.code < 0 else ""

    def __str__(self) -> str:
        how = f"killed by {self.signal}" if self.signal else f"ended with exit code {self.code}"
        return f"{how}: {self.last_line}" if self.last_line else how


class ChildProcess:
    """A running program, which imports from where this process does and reads no input.

    It leads a session of its own: Ctrl-C reaches this process alone, and what the program starts is ended with it.
    """

    def __init__(self, program: Program) -> None:
        self._log = program.log
        with contextlib.ExitStack() as opened:
            output = opened.enter_context(program.log.open("wb")) if program.log else subprocess.DEVNULL
            self._process = subprocess.Popen(
                [program.interpreter or sys.executable, *program.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**_environment(program), **program.environment},
                cwd=program.folder,
                pass_fds=program.descriptors,
                start_new_session=True,
            )

    def wait(self, timeout_s: float | None = None) -> ExitStatus | None:
        """Return how the process ended; None where it still runs after ``timeout_s``."""
        try:
            return ExitStatus(self._process.wait(timeout_s), self._last_line())
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kill the process, if it still runs, and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _last_line(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log and self._log.exists() else []
        return lines[-1].strip() if lines else ""


def run_program(program: Program, timeout_s: float) -> ExitStatus | None:
    """Return how a program ended; None where it took longer and was killed. Nothing of it runs on."""
    child = ChildProcess(program)
    try:
        return child.wait(timeout_s)
    finally:
        child.end()


def _environment(program: Program) -> dict[str, str]:
    here = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if program.interpreter:
        return {name: value for name, value in here.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**here, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONSAFEPATH": "1"}
