"""What the plugin costs a pytest run that does not use it: ``pytest --co`` of an empty folder.

Run with ``python -m benchmarks.startup`` (about a minute).

Runs with and without the plugin alternate, in random order. CPU time is the child process's own; intervals hold
the median with 99 %.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from time import perf_counter

from pytest_cpuaccel.measure.latency.e_values import median_interval

# Blocked by name and loaded by module, so that it makes no difference whether the plugin is installed.
WITHOUT = ("-p", "no:cpuaccel")
WITH = (*WITHOUT, "-p", "pytest_cpuaccel.plugin.hooks")
NOTHING_COLLECTED = 5


@dataclass(frozen=True)
class Run:
    """Seconds of one pytest process: on the clock, and of CPU time."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Time both kinds of run and print their ratio and difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=40, help="pairs of runs (default 40)")
    options = parser.parse_args()
    order = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        _pair(folder, order)  # writes the bytecode
        pairs = [_pair(folder, order) for _ in range(options.pairs)]
    _print("wall clock", [(ours.wall_s, bare.wall_s) for ours, bare in pairs])
    _print("CPU time", [(ours.cpu_s, bare.cpu_s) for ours, bare in pairs])


def _pair(folder: str, order: random.Random) -> tuple[Run, Run]:
    if order.random() < 0.5:
        return _collect(folder, WITH), _collect(folder, WITHOUT)
    bare = _collect(folder, WITHOUT)
    return _collect(folder, WITH), bare


def _collect(folder: str, options: Sequence[str]) -> Run:
    command = [sys.executable, "-m", "pytest", "--co", "-q", "-p", "no:cacheprovider", *options]
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "PYTHONDONTWRITEBYTECODE": "",  # an installed plugin has its bytecode
        "PYTHONPYCACHEPREFIX": str(Path(folder) / "bytecode"),
    }
    tests = Path(folder) / "tests"
    tests.mkdir(exist_ok=True)
    cpu_before_s = _children_cpu_s()
    started = perf_counter()
    done = subprocess.run(command, cwd=tests, env=environment, capture_output=True, text=True, check=False)
    wall_s = perf_counter() - started
    cpu_s = _children_cpu_s() - cpu_before_s
    if done.returncode != NOTHING_COLLECTED:
        raise RuntimeError(f"pytest --co failed:\n{done.stdout}{done.stderr}")
    return Run(wall_s, cpu_s)


def _children_cpu_s() -> float:
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _print(clock: str, pairs: Sequence[tuple[float, float]]) -> None:
    ratios = [ours / bare for ours, bare in pairs]
    added_ms = [1000 * (ours - bare) for ours, bare in pairs]
    low, high = median_interval(ratios, alpha=0.005)
    print(
        f"{clock}: with the plugin {median(ratios):.3f} times as long [{low:.3f}, {high:.3f}], "
        f"{median(added_ms):+.1f} ms on {1000 * median(bare for _, bare in pairs):.0f} ms; fastest against fastest "
        f"{1000 * (min(ours for ours, _ in pairs) - min(bare for _, bare in pairs)):+.1f} ms"
    )


if __name__ == "__main__":
    main()
