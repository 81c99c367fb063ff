"""What the kernel censuses of a session cost: ten parity tests of a small BERT, with and without them.

Run ``python -m benchmarks.census sdpa ort openvino`` (minutes). Every line is one process with a session of pytest, on
one thread: its CPU seconds, the least of two. Models are exported before the first of them.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = 2
CONFTEST = """
import pytest, torch
from transformers import BertConfig, BertModel

@pytest.fixture(scope="session")
def eager_model():
    torch.manual_seed(0)
    return BertModel(BertConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, vocab_size=100)).eval()
"""
TESTS = """
import pytest, torch

@pytest.mark.parity
@pytest.mark.parametrize("length", range(16, 26))
def test_bert(cpu_model, length):
    ids = torch.arange(length).reshape(1, length)
    cpu_model(input_ids=ids, attention_mask=torch.ones_like(ids))
"""
WITHOUT = """
from pytest_cpuaccel.evaluation import workload_kernels

workload_kernels.census_of = lambda *_: None
"""


def main() -> None:
    """Print a line for each backend that is named."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {"conftest": CONFTEST, "test_ten": TESTS, "without_census": WITHOUT}.items():
            Path(folder, f"{name}.py").write_text(text)
        for backend in sys.argv[1:]:
            _session(folder, backend, census=False)
            without, with_ = (min(_session(folder, backend, census=on) for _ in range(ROUNDS)) for on in (False, True))
            print(f"{backend}: {without:.1f} s without, {with_:.1f} s with censuses", flush=True)


def _session(folder: str, backend: str, *, census: bool) -> float:
    """The CPU seconds of a session, with those of its imports."""
    off = [] if census else ["-p", "without_census"]
    command = [sys.executable, "-m", "pytest", "-q", *off, "-p", "no:cacheprovider", f"--cpu-backends={backend}"]
    own = {"PYTHONPATH": os.pathsep.join([folder, str(Path.cwd())]), "OMP_NUM_THREADS": "1"}
    before = _cpu_seconds()
    subprocess.run([*command, "test_ten.py"], cwd=folder, env=os.environ | own, check=True, stdout=subprocess.DEVNULL)
    return _cpu_seconds() - before


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
