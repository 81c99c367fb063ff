"""Most of what is tested here needs no torch, and is tested without it on other Pythons too."""

from __future__ import annotations

from importlib.util import find_spec

NEED_TORCH = [
    "latency/test_tokens.py",
    "parity",
    "sides/test_answers_file.py",
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

collect_ignore = [] if find_spec("torch") else NEED_TORCH
