"""What a suite of tests with large outputs takes: resident memory, its growth from test to test, and CPU seconds.

Run ``python -m benchmarks.memory`` (a minute; or name backends, and how many tests:
``python -m benchmarks.memory eager bf16 ort --tests 8``). Each test makes one call of a small decoder with GPT-2's
vocabulary on 512 tokens of its own, which returns 103 MB, and has a parity mark. A fresh pytest process runs it all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from tabulate import tabulate

CONFTEST = """
import gc, json, os, re, time
import pytest, torch
from transformers import GPT2Config, GPT2LMHeadModel

@pytest.fixture(scope="session")
def eager_model():
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(n_embd=256, n_layer=2, n_head=4, use_cache=False)).eval()

def status(field):
    return int(re.search(rf"{field}:\\s+(\\d+)", open("/proc/self/status").read()).group(1)) / 1024

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    began = time.process_time()
    result = yield
    figures = {"cpu_s": time.process_time() - began, "mib": status("VmRSS"), "peak_mib": status("VmHWM")}
    with open(os.environ["FIGURES"], "a") as file:
        print(json.dumps(figures), file=file)
    return result
"""

TESTS = """
import pytest, torch

@pytest.mark.parity
@pytest.mark.parametrize("number", range({tests}))
def test_logits(cpu_model, number):
    ids = torch.randint(0, 50257, (1, 512), generator=torch.Generator().manual_seed(number))
    assert cpu_model(input_ids=ids).logits.shape == (1, 512, 50257)
"""


def main() -> None:
    """Print a table with a line for each backend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backends", nargs="*", default=["eager", "bf16"])
    parser.add_argument("--tests", type=int, default=8)
    asked = parser.parse_args()
    lines = []
    for backend in asked.backends:
        found = _figures(backend, asked.tests)
        later = found[len(found) // 2 :]
        growth = (later[-1]["mib"] - later[0]["mib"]) / max(len(later) - 1, 1)
        cpu = median(item["cpu_s"] for item in later)
        lines.append(
            [backend, f"{later[-1]['mib']:.0f}", f"{growth:.1f}", f"{found[-1]['peak_mib']:.0f}", f"{cpu:.2f}"]
        )
    print(f"{asked.tests} tests, each of one call that returns 103 MB; growth and CPU seconds of their second half")
    print(tabulate(lines, ["backend", "MiB at the end", "MiB more a test", "peak MiB", "CPU s a test"]))


def _figures(backend: str, tests: int) -> list[dict[str, float]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conftest.py").write_text(CONFTEST)
        (folder / "test_memory.py").write_text(TESTS.format(tests=tests))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--cpu-backends={backend}"]
        environment = os.environ | {"FIGURES": str(folder / "figures")}
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise SystemExit(ran.stdout[-3000:] + ran.stderr[-3000:])
        return [json.loads(line) for line in (folder / "figures").read_text().splitlines()]


if __name__ == "__main__":
    main()
