"""Dynamic int8 quantisation of linear layers by ``torch.ao.quantization``."""

from __future__ import annotations

from pathlib import Path

from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.precision import Precision


def load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    """Return the model with int8 weights in its linear layers, activations quantised call by call.

    Raises:
        BuildError: the model has no ``nn.Linear``; GPT-2, for one, is made of transformers' Conv1D.
    """
    import torch
    from torch.ao.nn.quantized import dynamic
    from torch.ao.quantization import quantize_dynamic

    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    module = subject.fresh_module()
    with upstream.contained():
        quantize_dynamic(  # type: ignore[no-untyped-call]
            module, {torch.nn.Linear}, dtype=torch.qint8, inplace=True
        )
        quantised = sum(isinstance(layer, dynamic.Linear) for layer in module.modules())
        if not quantised:
            raise BuildError(f"{type(module).__name__} has no nn.Linear to quantise")
        rehearse(module, subject.inputs)
    return BuiltModel(
        forward=module,
        generate=getattr(module, "generate", None),
        facts={
            "threads": torch.get_num_threads(),
            "quantised_linears": quantised,
            "engine": torch.backends.quantized.engine,
        },
    )


TORCH_INT8 = Backend(
    name="torch-int8",
    summary="dynamic int8 linears by torch.ao.quantization",
    load=load,
    precision=Precision.INT8,
    requires=(Requirement("torch", ">=2.8"),),
)
