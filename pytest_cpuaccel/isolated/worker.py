"""The program of a fresh process: it works on one bundle and reports the time of each stage."""

from __future__ import annotations

import pickle
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.isolated.report import EXPORT, FIRST_CALL, IMPORTS, LOAD, REPORT, Report, Stage
from pytest_cpuaccel.machine.memory import read_memory
from pytest_cpuaccel.machine.process import end_with_parent
from pytest_cpuaccel.machine.run_queue import queued_ns

if TYPE_CHECKING:
    from pytest_cpuaccel.isolated.bundle import Bundle


def main(bundle: Path, scratch: Path, task: str, began_ns: int) -> None:
    """Work on the bundle packed in a folder, and write a Report, or the error that ended it, to ``scratch``.

    ``began_ns`` is the start of the process, by the clock that all processes share.
    """
    end_with_parent()
    try:
        with upstream.contained():
            outcome: Report | CpuaccelError = _report(_TASKS[task](bundle), began_ns)
    except CpuaccelError as error:
        outcome = error
    partial = scratch / f"{REPORT}.partial"
    partial.write_bytes(pickle.dumps(outcome))
    partial.rename(scratch / REPORT)


def start(folder: Path) -> Iterator[str]:
    """Load the model and answer the call, like a server that starts; yield the name of every stage at its end."""
    import torch

    from pytest_cpuaccel.backends.toolkit.checking import check_built

    bundle = _imported(folder)
    yield IMPORTS
    built = bundle.backend.load(bundle.subject, bundle.artifact)
    check_built(built, bundle.subject.threads, bundle.call.method)
    yield LOAD
    run = built.method(bundle.call.method)
    if bundle.call.rng_state is not None:
        torch.set_rng_state(bundle.call.rng_state)
    with torch.no_grad():
        run(*bundle.call.inputs.args, **bundle.call.inputs.kwargs)
    yield FIRST_CALL
    built.close()


def build(folder: Path) -> Iterator[str]:
    """Export the model and load the artifact, with no cache; yield the name of every stage at its end."""
    from pytest_cpuaccel.builder.export_chain import export_in_turn

    bundle = _imported(folder)
    yield IMPORTS
    artifact = Path(tempfile.mkdtemp()) if bundle.backend.exporters else None
    if artifact:
        export_in_turn(bundle.backend.exporters, bundle.subject, artifact)
        yield EXPORT
    built = bundle.backend.load(bundle.subject, artifact)
    yield LOAD
    built.close()


_TASKS = {"start": start, "build": build}


def _imported(folder: Path) -> Bundle:
    """Return the bundle after importing torch, the backend's module and the model's class."""
    import torch

    from pytest_cpuaccel.isolated.bundle import unpack

    bundle = unpack(folder)
    torch.set_num_threads(bundle.subject.threads)
    bundle.subject.fresh_module()
    return bundle


def _report(names: Iterator[str], began_ns: int) -> Report:
    stages: list[Stage] = []
    before_ns = 0
    for name in names:
        now_ns, queued_so_far_ns = time.monotonic_ns(), queued_ns()
        stages.append(Stage(name, now_ns - began_ns, queued_so_far_ns - before_ns, read_memory()))
        began_ns, before_ns = now_ns, queued_so_far_ns
    return Report(tuple(stages))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
