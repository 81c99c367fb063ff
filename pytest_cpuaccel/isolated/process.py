"""A fresh process: it runs one bundle and returns its report."""

from __future__ import annotations

import pickle
import tempfile
import time
from pathlib import Path

from pytest_cpuaccel.core.errors import CpuaccelError, DeadProcessError
from pytest_cpuaccel.isolated.report import REPORT, Report
from pytest_cpuaccel.machine.child_process import Program, run_program

TIMEOUT_S = 600.0
"""How long a process may take that is held to no time; imports and compilers may take minutes."""

_WORKER = "pytest_cpuaccel.isolated.worker"


def run(bundle: Path, task: str, *, threads: int, timeout_s: float) -> Report:
    """Do the bundle that was packed in a folder, in a process of its own; ``task`` is "start" or "build".

    The process imports from where this one does, and prints to nobody. It and all that it started are gone when this
    returns or raises.

    Raises:
        CpuaccelError: what went wrong in it.
        DeadProcessError: it died, or gave no answer in time.
    """
    with tempfile.TemporaryDirectory(prefix="cpuaccel-fresh-") as folder:
        scratch = Path(folder)
        ended = run_program(_program(bundle, task, scratch, threads), timeout_s)
        if (scratch / REPORT).exists():
            outcome: Report | CpuaccelError = pickle.loads((scratch / REPORT).read_bytes())
            if isinstance(outcome, CpuaccelError):
                raise outcome
            return outcome
        if ended is None:
            raise DeadProcessError(f"a fresh process gave no answer within {timeout_s:g} s")
        raise DeadProcessError(f"a fresh process was {ended}")


def _program(bundle: Path, task: str, scratch: Path, threads: int) -> Program:
    """The worker; its temporary files, compilers' caches among them, are its own."""
    return Program(
        ("-m", _WORKER, str(bundle), str(scratch), task, str(time.monotonic_ns())),
        environment={
            "OMP_NUM_THREADS": str(threads),
            "TMPDIR": str(scratch),
            "TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor"),
        },
        log=scratch / "log",
    )
