"""What comparing two outputs takes, beside ``torch.testing`` and ``numpy.testing`` in the same run.

Run ``python -m benchmarks.parity`` (minutes; ``--mb 10 100 1000`` for other sizes). Every line is a process of its
own, on one thread: CPU seconds, the best of five, and what resident memory peaks at above the tensors themselves.
"read" is the floor, one pass over both outputs (and over eager's fp64 in those cases), by dot products of whole
tensors. "verdict" is what a passing verdict needs, "report" has every figure that a report shows as well; of what fails
both have all, with hints. All outputs are fp32, eager's rounding is bf16 in the cases of bf16, and a mask leaves three
quarters. The rivals answer one question only, of all elements: whether they are within a tolerance of eager's fp32.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity.references import References

ROUNDS = 5
VOCABULARY = 51_200
BYTES = 4 * VOCABULARY
CASES = (
    "fp32",
    "fp32, masked",
    "fp32 by fp64",
    "fp32 by fp64, masked",
    "bf16",
    "bf16 by fp64",
    "fp32, failing everywhere",
)
FLOOR = "read"
RIVALS = ("torch.testing", "numpy.testing")


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(_measured(asked.one[0], asked.one[1], int(asked.one[2]))))
        return
    for megabytes in asked.mb:
        lines = []
        for case in CASES:
            found = {kind: _in_new_process(case, kind, megabytes) for kind in (FLOOR, "verdict", "report", *RIVALS)}
            best = min(found[rival][0] for rival in RIVALS)
            times = [f"{seconds:.3f}" for seconds, _ in found.values()]
            ratio = f"{best / found['verdict'][0]:.1f}x"
            lines.append([case, *times, ratio, *(f"{found[kind][1]:.0f}" for kind in ("verdict", "report", *RIVALS))])
        header = ["", "read s", "verdict s", "report s", "torch s", "numpy s", "rival / verdict"]
        print(f"\n{megabytes} MB of fp32")
        print(tabulate(lines, [*header, "verdict MB", "report MB", "torch MB", "numpy MB"], disable_numparse=True))


def _in_new_process(case: str, kind: str, megabytes: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.parity", "--one", case, kind, str(megabytes)]
    seconds, memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return seconds, memory


def _measured(case: str, kind: str, megabytes: int) -> tuple[float, float]:
    """CPU seconds, and MB above what is held before."""
    torch.set_num_threads(1)
    run = _prepared(case, kind, megabytes)
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak
    before = _mb("VmHWM")
    seconds = min(_cpu_seconds(run) for _ in range(ROUNDS))
    return seconds, _mb("VmHWM") - before


def _prepared(case: str, kind: str, megabytes: int) -> Callable[[], object]:
    rows = max(1, megabytes * 10**6 // BYTES)
    generator = torch.Generator().manual_seed(0)
    expected = torch.randn(1, rows, VOCABULARY, generator=generator)
    noise = torch.randn(1, rows, VOCABULARY, generator=generator)
    exact = noise.double().mul_(2e-8).add_(expected) if "fp64" in case else None
    is_bf16 = "bf16" in case
    actual = noise.mul_(1e-2 if is_bf16 or "failing" in case else 1e-7).add_(expected)
    rounding = expected.bfloat16() if is_bf16 else expected
    if kind == FLOOR:
        return lambda: [
            torch.dot(side.view(-1), side.view(-1)) for side in (actual, expected, exact) if side is not None
        ]
    if kind == "torch.testing":
        return lambda: _refused(lambda: torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4))
    if kind == "numpy.testing":
        sides = actual.numpy(), expected.numpy()
        return lambda: _refused(lambda: np.testing.assert_allclose(*sides, rtol=1e-4, atol=1e-4))
    mask = torch.ones(1, rows, dtype=torch.int64)
    mask[:, 3 * rows // 4 :] = 0
    inputs = Inputs(kwargs={"attention_mask": mask} if "masked" in case else {})
    precision = Precision.BF16 if is_bf16 else Precision.FP32
    budget = ParityBudget(Tolerance() if exact is not None or is_bf16 else Tolerance(rtol=1e-4, atol=1e-4))

    def judged() -> None:
        references = References(expected, exact, rounding)
        found = compare(actual, references, inputs, Terms(budget, precision, in_full=kind == "report"))
        assert found.outcome is (Outcome.FAIL if "failing" in case else Outcome.PASS), found.sentence

    return judged


def _refused(check: Callable[[], object]) -> None:
    try:
        check()
    except AssertionError:
        return


def _cpu_seconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def _mb(field: str) -> float:
    found = re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found.group(1)) * 1024 / 1e6


if __name__ == "__main__":
    main()
