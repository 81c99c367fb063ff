"""Example inputs of a transformers model as Optimum's exporters make them, where Optimum is installed."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.upstream import silenced
from pytest_cpuaccel.core.errors import CpuaccelError

SAMPLES_PER_TOKEN = 40
"""Samples of sound for each token of a text: the models here make at least one frame of them."""

Tensors = dict[str, torch.Tensor]

_LEFT_TO_THE_MODEL = ("position_ids",)
"""Inputs that the model makes by itself; Optimum's would be random."""


def optimum_example(module: nn.Module, batch: int, length: int) -> Tensors:
    """Return the inputs that Optimum's ONNX config of the model names; empty where there is none."""
    try:
        with silenced(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(1000 * batch + length)
            tensors = _generated(module, batch, length)
    except CpuaccelError:
        return {}
    return {name: tensor for name, tensor in tensors.items() if name not in _LEFT_TO_THE_MODEL}


def _generated(module: nn.Module, batch: int, length: int) -> Tensors:
    import optimum.exporters.onnx.model_configs  # noqa: F401  (fills the manager's table)
    from optimum.exporters.tasks import TasksManager

    config: Any = module.config
    task = TasksManager.infer_task_from_model(module)
    constructor = TasksManager.get_exporter_config_constructor(
        "onnx", model=module, task=task, library_name="transformers"
    )
    generated: Tensors = constructor(config, task=task).generate_dummy_inputs(
        framework="pt",
        batch_size=batch,
        sequence_length=length,
        nb_max_frames=2 * getattr(config, "max_source_positions", 0),
        audio_sequence_length=SAMPLES_PER_TOKEN * length,
        width=32,
        height=32,
    )
    return generated
