"""A session: a pytest process in which a rival plugin times one side of some contests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.gates.contest import Contest

_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class SuiteRun:
    """``seconds`` of measuring each contest, without the building; ``output`` is what pytest printed."""

    seconds: tuple[float, ...]
    output: str


def run_session(contests: Sequence[Contest], side: str, folder: Path, cache: Path, *options: str) -> SuiteRun:
    """Run in ``folder`` a pytest that knows no plugins but those that the options load.

    Raises:
        RuntimeError: pytest did not get to the end.
    """
    folder.mkdir(exist_ok=True)
    seconds = folder / f"{side}.seconds"
    environment = os.environ | {
        "GATES_CONTESTS": json.dumps([asdict(contest) for contest in contests]),
        "GATES_SIDE": side,
        "GATES_CACHE": str(cache.absolute()),
        "GATES_SECONDS": str(seconds),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(_ROOT),
        "OMP_NUM_THREADS": "1",
    }
    file = Path(__file__).with_name("side_test.py")
    command = [sys.executable, "-m", "pytest", str(file), "-q", "-c", os.devnull, f"--rootdir={folder}"]
    command += ["-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    if "[100%]" not in output or "FAILED" in output or "ERROR" in output:
        raise RuntimeError(f"{' '.join(options)} did not run:\n{output}")
    return SuiteRun(tuple(float(line) for line in seconds.read_text().split()), output)
