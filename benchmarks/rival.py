"""The rival: pytest-benchmark, saving one side and comparing the other with ``median:5%``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = """
import json
import os

import pytest

from benchmarks.contestants import build_sides


@pytest.mark.parametrize(("model", "extra_rounds"), json.loads(os.environ["CONTESTANTS"]))
def test_side(benchmark, model, extra_rounds):
    sides = build_sides(model, extra_rounds)
    benchmark(getattr(sides, os.environ["SIDE"]))
"""

REGRESSED = re.compile(r"^\s*(\S*test_side\[\S+\]).* - Field 'median' has failed", re.MULTILINE)


def count_alarms(contestants: Sequence[tuple[str, int]], folder: Path) -> int:
    """Return in how many of the contests, each a model with its extra rounds, the comparison failed."""
    (folder / "test_sides.py").write_text(TESTS)
    _run(contestants, folder, "reference", "--benchmark-save=reference")
    compared = _run(contestants, folder, "candidate", "--benchmark-compare", "--benchmark-compare-fail=median:5%")
    alarms = len(set(REGRESSED.findall(compared)))
    if ("Performance has regressed" in compared) != bool(alarms):
        raise RuntimeError(f"pytest-benchmark said something unexpected:\n{compared}")
    return alarms


def _run(contestants: Sequence[tuple[str, int]], folder: Path, side: str, *options: str) -> str:
    root = Path(__file__).parents[1]
    environment = os.environ | {
        "CONTESTANTS": json.dumps(contestants),
        "SIDE": side,
        "PYTHONPATH": str(root),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", "test_sides.py", "-q", "-p", "no:cacheprovider", *options]
    command += [f"--benchmark-storage={folder}", "--benchmark-columns=median"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    if "[100%]" not in output or "FAILED" in output or "ERROR" in output:
        raise RuntimeError(f"pytest-benchmark did not run:\n{output}")
    return output
