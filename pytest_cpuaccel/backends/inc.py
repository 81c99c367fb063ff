"""int8 by Intel Neural Compressor's post-training quantisation, as Optimum Intel's INCQuantizer runs it.

``neural_compressor.quantization.fit`` is called itself: importing INCQuantizer also imports Intel Extension for
PyTorch, which changes eager's own results for the rest of the process. It takes models that are not transformers' too.
"""

from __future__ import annotations

import contextlib
import io
import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from pytest_cpuaccel.backends import torch_census
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, generate_of, load_altered
from pytest_cpuaccel.core.backend import Backend, Requirement, Scalar, Subject
from pytest_cpuaccel.core.errors import BuildError, NothingToDoError
from pytest_cpuaccel.core.precision import Precision

_FP32 = {"weight": {"dtype": ["fp32"]}, "activation": {"dtype": ["fp32"]}}
_KEPT = {r".*patch_embedding.*": _FP32}
"""Layers left in fp32: transformers' vision models cast their pixels to the type of this layer's weight."""


def _altered(approach: str, subject: Subject) -> AlteredModel:
    """The model quantised by one of Neural Compressor's approaches, "dynamic" or "static".

    Raises:
        BuildError: Neural Compressor can't quantise the model, or finds nothing in it to quantise.
    """
    import torch

    from pytest_cpuaccel.backends.toolkit.linears import replaceable, without_fused_encoder_layers
    from pytest_cpuaccel.backends.toolkit.upstream import silenced

    original = subject.fresh_module()
    name, module = type(original).__name__, replaceable(original)
    without_fused_encoder_layers(module)
    with silenced():
        quantised = _quantised(approach, module, subject, name)
        layers = _int8_layers(quantised)
    if not layers:
        layer = "nn.Linear" if approach == "dynamic" else "nn.Linear or convolution"
        raise NothingToDoError(f"{name} has no {layer} that Neural Compressor quantises")

    def facts() -> dict[str, Scalar]:
        return {"int8_layers": layers, "engine": torch.backends.quantized.engine}

    return AlteredModel(quantised, facts, generate_of(quantised), first_call=silenced())


def _quantised(approach: str, module: Any, subject: Subject, name: str) -> Any:
    from neural_compressor.config import PostTrainingQuantConfig
    from neural_compressor.quantization import fit

    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    def calibrate(prepared: Any) -> None:
        for item in subject.calibration:
            rehearse(prepared, item)

    said = io.StringIO()
    with _process_kept(), contextlib.redirect_stderr(said):
        config = PostTrainingQuantConfig(approach=approach, op_name_dict=_KEPT)
        found = fit(module, config, calib_func=calibrate if subject.calibration else None)
    if found is None:  # fit() swallows exceptions, and prints them
        complaint = said.getvalue().strip().rpartition("\n")[2]
        raise BuildError(f"Neural Compressor can't quantise {name}: it fails with {complaint}")
    return found.model


@contextlib.contextmanager
def _process_kept() -> Iterator[None]:
    """Undo the effects of ``fit()`` on the process: it seeds generators, and writes to the current folder."""
    import numpy as np
    import torch
    from neural_compressor.config import options

    states, workspace = (random.getstate(), np.random.get_state()), options.workspace
    try:
        with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as options.workspace:
            yield
    finally:
        options.workspace = workspace
        random.setstate(states[0])
        np.random.set_state(states[1])


def _int8_layers(module: Any) -> int:
    from torch.ao.nn.quantized.modules.utils import WeightedQuantizedModule

    return sum(isinstance(layer, WeightedQuantizedModule) for layer in module.modules())


INC_INT8_DYNAMIC = Backend(
    name="inc-int8-dynamic",
    summary="Intel Neural Compressor, int8 linears with activations quantised call by call",
    load=partial(load_altered, partial(_altered, "dynamic")),
    count_kernels=partial(torch_census.count, partial(load_altered, partial(_altered, "dynamic"))),
    precision=Precision.INT8,
    requires=(
        Requirement("torch", ">=2.8,<2.9", "Neural Compressor 3.7 needs NumPy 1 and was run with torch 2.8 alone"),
        Requirement("neural-compressor", ">=3.7,<3.8", "3.10 has no neural_compressor.config"),
    ),
)

INC_INT8_STATIC = replace(
    INC_INT8_DYNAMIC,
    name="inc-int8-static",
    summary="Intel Neural Compressor, int8 on calibration data",
    load=partial(load_altered, partial(_altered, "static")),
    count_kernels=partial(torch_census.count, partial(load_altered, partial(_altered, "static"))),
    calibrates=True,
)
