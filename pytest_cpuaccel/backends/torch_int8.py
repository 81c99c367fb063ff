"""Dynamic int8 quantisation of linear layers by ``torch.ao.quantization``."""

from __future__ import annotations

from functools import partial

from pytest_cpuaccel.backends import torch_census
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, generate_of, load_altered
from pytest_cpuaccel.backends.toolkit.keeping_fp32 import but_kept, is_linear
from pytest_cpuaccel.core.backend import Backend, Requirement, Scalar, Subject
from pytest_cpuaccel.core.errors import NothingToDoError
from pytest_cpuaccel.core.precision import Precision


def _altered(subject: Subject) -> AlteredModel:
    """The model with int8 linear layers: a scale for each channel of weights, activations quantised call by call.

    Raises:
        BuildError: the model has no ``nn.Linear``, or none but those kept in fp32; GPT-2, for one, is made of
            transformers' Conv1D.
    """
    import torch
    from torch.ao.nn.quantized import dynamic
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    from pytest_cpuaccel.backends.toolkit.linears import (
        no_linear,
        replaceable,
        weights_read_refused,
        without_fused_encoder_layers,
    )

    original = subject.fresh_module()
    module = replaceable(original)
    kept = dict.fromkeys(subject.keep_fp32)
    quantize_dynamic(  # type: ignore[no-untyped-call]
        module, {torch.nn.Linear: per_channel_dynamic_qconfig, **kept}, dtype=torch.qint8, inplace=True
    )
    quantised = sum(isinstance(layer, dynamic.Linear) for layer in module.modules())
    if not quantised and any(is_linear(part) for part in module.modules()) and kept:
        raise NothingToDoError(f"there is no nn.Linear to quantise{but_kept(subject)}")
    if not quantised:
        raise no_linear(original)
    without_fused_encoder_layers(module)

    def facts() -> dict[str, Scalar]:
        return {"quantised_linears": quantised, "engine": torch.backends.quantized.engine}

    return AlteredModel(module, facts, generate_of(module), first_call=weights_read_refused(type(original).__name__))


TORCH_INT8 = Backend(
    name="torch-int8",
    summary="dynamic int8 linears by torch.ao.quantization",
    load=partial(load_altered, _altered),
    count_kernels=partial(torch_census.count, partial(load_altered, _altered)),
    precision=Precision.INT8,
    quantises=is_linear,
    requires=(Requirement("torch", ">=2.8"),),
)
