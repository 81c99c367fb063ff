"""A fresh process: started for one bundle, heard, and gone."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pytest_cpuaccel.core.errors import BuildError, CpuaccelError
from pytest_cpuaccel.isolated.exit_status import death
from pytest_cpuaccel.isolated.report import REPORT, Report

TIMEOUT_S = 600.0
"""How long a process may take that is held to no time; imports and compilers may take minutes."""

_WORKER = "pytest_cpuaccel.isolated.worker"


def run(bundle: Path, task: str, *, threads: int, timeout_s: float) -> Report:
    """Do the bundle that was packed in a folder, in a process of its own; ``task`` is "start" or "build".

    The process imports from where this one does, and prints to nobody. It and all that it started are gone when this
    returns or raises.

    Raises:
        CpuaccelError: what went wrong in it.
        BuildError: it died, or gave no answer in time.
    """
    with tempfile.TemporaryDirectory(prefix="cpuaccel-fresh-") as folder:
        scratch = Path(folder)
        exit_code = _ended(bundle, task, scratch, threads, timeout_s)
        if (scratch / REPORT).exists():
            outcome: Report | CpuaccelError = pickle.loads((scratch / REPORT).read_bytes())
            if isinstance(outcome, CpuaccelError):
                raise outcome
            return outcome
        if exit_code is None:
            raise BuildError(f"a fresh process gave no answer within {timeout_s:g} s")
        raise BuildError(f"a fresh process was {death(exit_code, scratch / 'log')}")


def _ended(bundle: Path, task: str, scratch: Path, threads: int, timeout_s: float) -> int | None:
    """The exit code of a process that did the bundle; None where it had to be stopped."""
    command = [sys.executable, "-m", _WORKER, str(bundle), str(scratch), task, str(time.monotonic_ns())]
    with (scratch / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(scratch, threads),
            start_new_session=True,  # so that Ctrl-C reaches us alone, and what it starts can be ended with it
        )
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(scratch: Path, threads: int) -> dict[str, str]:
    """This process's, with its module path; temporary files, compilers' caches among them, are the process's own."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),
        "TMPDIR": str(scratch),
        "TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor"),
    }
