"""Most of what is tested here needs no torch, and is tested without it on the oldest and the newest Python."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import core

NEED_TORCH = [
    "latency/test_tokens.py",
    "parity",
    "sides/test_answers_file.py",
    "test_against.py",
    "test_batch.py",
    "test_bundles.py",
    "test_decoding.py",
    "test_fingerprint.py",
    "test_keep_fp32.py",
    "test_memory.py",
    "test_metric.py",
    "test_noise_check.py",
    "test_pool.py",
    "test_private_copy.py",
    "test_reference.py",
    "test_side_answers.py",
    "test_snapshot.py",
    "test_stream.py",
    "test_tree.py",
    "test_workload_kernels.py",
]

SEE_MORE = [
    "test_gate_options.py",
    "test_inductor_census.py",
    "test_internals.py",
    "test_report_schema.py",
]
"""They need none of them, and test more where torch, the runtimes or jsonschema are installed."""

HERE = Path(__file__).parent

collect_ignore = [] if find_spec("torch") else NEED_TORCH


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.getoption(core.OPTION) or collection_path.is_dir():
        return None
    kept = (HERE / name for name in (*NEED_TORCH, *SEE_MORE))
    return None if any(collection_path.is_relative_to(path) for path in kept) else True
