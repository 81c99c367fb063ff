"""What tests with large outputs, and tests of a large model, take: resident memory, its growth, and CPU seconds.

Run ``python -m benchmarks.memory`` (a minute; or name backends, and how many tests:
``python -m benchmarks.memory eager bf16 ort --tests 8``). Each test makes one call of a small decoder with GPT-2's
vocabulary on 512 tokens of its own, which returns 103 MB, and has a parity mark. A fresh pytest process runs it all,
and exports anew.

``python -m benchmarks.memory --one-session eager bf16 ort torch-int8 --tests 200`` (half an hour) runs them under all
those backends in one process.

``python -m benchmarks.memory --decoder torch-int8 openvino ort`` (minutes each, and 8 GB of memory) generates 8 tokens
with a decoder of Qwen2-0.5B's shape, 2 GB of weights in fp32, once for each backend.
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
import json, os, re, resource, time
import pytest, torch
import transformers

@pytest.fixture(scope="session")
def eager_model():
    torch.manual_seed(0)
    return {model}.eval()

def status(field):
    return int(re.search(rf"{{field}}:\\s+(\\d+)", open("/proc/self/status").read()).group(1)) / 1024

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    began = time.process_time()
    result = yield
    figures = {{"cpu_s": time.process_time() - began, "mib": status("VmRSS"), "peak_mib": status("VmHWM")}}
    figures["child_mib"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    with open(os.environ["FIGURES"], "a") as file:
        print(json.dumps(figures), file=file)
    return result
"""

SMALL = "transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=256, n_layer=2, n_head=4, use_cache=False))"

SMALL_TESTS = """
import pytest, torch

@pytest.mark.parity
@pytest.mark.parametrize("number", range({tests}))
def test_logits(cpu_model, number):
    ids = torch.randint(0, 50257, (1, 512), generator=torch.Generator().manual_seed(number))
    assert cpu_model(input_ids=ids).logits.shape == (1, 512, 50257)
"""

DECODER = """transformers.Qwen2ForCausalLM(transformers.Qwen2Config(
        hidden_size=896, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2,
        intermediate_size=4864, vocab_size=151936, tie_word_embeddings=True,
    ))"""

DECODER_TESTS = """
import pytest, torch

@pytest.mark.parity
def test_text(cpu_model):
    ids = torch.randint(0, 1000, (1, 16), generator=torch.Generator().manual_seed(0))
    assert cpu_model.generate(ids, max_new_tokens=8, do_sample=False).shape[1] > 16
"""


def main() -> None:
    """Print a table with a line for each backend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backends", nargs="*", default=["eager", "bf16"])
    parser.add_argument("--tests", type=int, default=8)
    parser.add_argument("--one-session", action="store_true", help="all backends in one process")
    parser.add_argument("--decoder", action="store_true", help="one test of a decoder of 2 GB")
    asked = parser.parse_args()
    if asked.decoder:
        _print_decoder(asked.backends)
    elif asked.one_session:
        _print_small([",".join(asked.backends)], asked.tests)
    else:
        _print_small(asked.backends, asked.tests)


def _print_small(backends: list[str], tests: int) -> None:
    lines = []
    for backend in backends:
        found = _figures(backend, SMALL, SMALL_TESTS.format(tests=tests))
        later = found[len(found) // 2 :]
        growth = (later[-1]["mib"] - later[0]["mib"]) / max(len(later) - 1, 1)
        cpu = median(item["cpu_s"] for item in later)
        lines.append(
            [backend, f"{later[-1]['mib']:.0f}", f"{growth:.1f}", f"{found[-1]['peak_mib']:.0f}", f"{cpu:.2f}"]
        )
    print(f"{tests} tests, each of one call that returns 103 MB; growth and CPU seconds of their second half")
    print(tabulate(lines, ["backend", "MiB at the end", "MiB more a test", "peak MiB", "CPU s a test"]))


def _print_decoder(backends: list[str]) -> None:
    lines = []
    for backend in backends:
        (found,) = _figures(backend, DECODER, DECODER_TESTS)
        lines.append([backend, *(f"{found[name]:.0f}" for name in ("mib", "peak_mib", "child_mib", "cpu_s"))])
    print("one test that generates 8 tokens with a decoder of 2 GB, exported anew")
    print(tabulate(lines, ["backend", "MiB at the end", "peak MiB", "peak MiB of a child", "CPU s"]))


def _figures(backend: str, model: str, tests: str) -> list[dict[str, float]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conftest.py").write_text(CONFTEST.format(model=model))
        (folder / "test_memory.py").write_text(tests)
        options = ["-q", "-p", "no:cacheprovider", f"--cpu-backends={backend}", f"--cpu-cache-dir={folder / 'cache'}"]
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", *options],
            cwd=folder,
            env=os.environ | {"FIGURES": str(folder / "figures")},
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise SystemExit(ran.stdout[-3000:] + ran.stderr[-3000:])
        return [json.loads(line) for line in (folder / "figures").read_text().splitlines()]


if __name__ == "__main__":
    main()
