"""The state of the process, as a user's conftest.py may look at it before and after."""

from __future__ import annotations

import gc
import locale
import logging
import os
import pickle
import random
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo.config
import torch._inductor.config

from pytest_cpuaccel.backends.toolkit import fp32_precision

GENERATORS = ("torch's generator", "numpy's generator", "python's generator")
_SWITCHES = ("mkldnn", "fast path", "quantised engine", "matmul precision")


def state() -> dict[str, Any]:
    """Return it by name, in forms that ``==`` compares."""
    umask = os.umask(0o022)
    os.umask(umask)
    return {
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        **dict(zip(GENERATORS, _generators(), strict=True)),
        "default dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")),
        "compiler settings": [config.get_config_copy() for config in (torch._dynamo.config, torch._inductor.config)],
        **dict(zip(_SWITCHES, _switches(), strict=True)),
        "umask": umask,
        "temporary folder": tempfile.tempdir,
        "working directory": str(Path.cwd()),
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "loggers": {name: _logger(name) for name in ("", "torch", "transformers", "nncf", "optimum", "openvino")},
        "logger class": (logging.getLoggerClass(), logging.root.manager.disable),
        "warnings": list(map(repr, warnings.filters)),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "gc": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "locale": locale.setlocale(locale.LC_ALL),
        "recursion limit": sys.getrecursionlimit(),
    }


def changes(before: dict[str, Any], *, but: tuple[str, ...] = ()) -> list[str]:
    """Return the names of what is not as it was."""
    now = state()
    return [name for name in before if name not in but and before[name] != now[name]]


def drawn() -> list[float]:
    """Return a number from every generator."""
    return [float(torch.rand(())), float(np.random.rand()), random.random()]


def seed() -> None:
    """Let every generator begin anew."""
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)


def _generators() -> tuple[bytes, ...]:
    torch_state = bytes(torch.get_rng_state().numpy())
    return torch_state, pickle.dumps(np.random.get_state()), pickle.dumps(random.getstate())


def _switches() -> tuple[Any, ...]:
    return (
        torch._C._get_mkldnn_enabled(),
        torch.backends.mha.get_fastpath_enabled(),
        torch.backends.quantized.engine,
        (fp32_precision.matmul_precision(), fp32_precision.precisions()),
    )


def _logger(name: str) -> tuple[Any, ...]:
    logger = logging.getLogger(name)
    own = [handler for handler in logger.handlers if "_pytest" not in type(handler).__module__]
    return logger.level, logger.propagate, logger.disabled, own
