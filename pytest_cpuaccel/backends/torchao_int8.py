"""int8 quantisation of linear layers by torchao: of weights alone or of activations too, eager or compiled."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends import inductor, torch_census
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, generate_of, load_altered
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.precision import Precision

DYNAMIC = "Int8DynamicActivationInt8WeightConfig"
WEIGHTS = "Int8WeightOnlyConfig"


def _altered(config: str, subject: Subject) -> AlteredModel:
    """The model with int8 weights in its linear layers.

    Raises:
        BuildError: the model has no ``nn.Linear``; GPT-2, for one, is made of transformers' Conv1D.
    """
    module, _ = quantised(config, subject)
    return AlteredModel(module, lambda: {"quantised_linears": quantised_linears(module)}, generate_of(module))


def export_compiled(config: str, subject: Subject, folder: Path) -> None:
    """Write the kernels that Inductor compiles for the quantised model to ``folder``."""
    module, settings = quantised(config, subject)
    inductor.export_module(module, replace(subject, options={**subject.options, **settings}), folder)


def load_compiled(config: str, subject: Subject, folder: Path | None) -> BuiltModel:
    """Return the quantised model compiled by Inductor, which fuses the conversions with the operators around them."""
    module, settings = quantised(config, subject)
    built = inductor.load_module(module, replace(subject, options={**subject.options, **settings}), folder)
    return replace(built, facts={**built.facts, "quantised_linears": quantised_linears(module)})


def quantised(config: str, subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Return a private copy of the model, quantised by the config of that name, and the Inductor settings of torchao.

    torchao sets them for the whole process.
    """
    from torch._inductor import config as process_wide

    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.linears import no_linear

    module = subject.fresh_module()
    with upstream.contained():
        from torchao import quantization

        before = process_wide.get_config_copy()
        quantization.quantize_(module, getattr(quantization, config)())
        wanted = {name: value for name, value in process_wide.get_config_copy().items() if value != before[name]}
        for name in wanted:
            setattr(process_wide, name, before[name])
    if not quantised_linears(module):
        raise no_linear(module)
    return module, wanted


def quantised_linears(module: Any) -> int:
    """Return how many weights of a model are torchao's."""
    from torchao.utils import TorchAOBaseTensor

    return sum(isinstance(weight, TorchAOBaseTensor) for weight in module.parameters())


TORCHAO_INT8 = Backend(
    name="torchao-int8",
    summary="dynamic int8 linears by torchao",
    load=partial(load_altered, partial(_altered, DYNAMIC)),
    count_kernels=partial(torch_census.count, partial(load_altered, partial(_altered, DYNAMIC))),
    precision=Precision.INT8,
    requires=(Requirement("torch", ">=2.8"), Requirement("torchao", ">=0.13")),
)

TORCHAO_INT8_WEIGHTS = replace(
    TORCHAO_INT8,
    name="torchao-int8-weights",
    summary="linears with int8 weights by torchao",
    load=partial(load_altered, partial(_altered, WEIGHTS)),
    count_kernels=partial(torch_census.count, partial(load_altered, partial(_altered, WEIGHTS))),
)

TORCHAO_INT8_INDUCTOR = replace(
    TORCHAO_INT8,
    name="torchao-int8-inductor",
    summary="dynamic int8 linears by torchao, compiled by Inductor",
    load=partial(load_compiled, DYNAMIC),
    count_kernels=None,
    export=partial(export_compiled, DYNAMIC),
    caches=True,
)

TORCHAO_INT8_WEIGHTS_INDUCTOR = replace(
    TORCHAO_INT8,
    name="torchao-int8-weights-inductor",
    summary="linears with int8 weights by torchao, compiled by Inductor",
    load=partial(load_compiled, WEIGHTS),
    count_kernels=None,
    export=partial(export_compiled, WEIGHTS),
    caches=True,
)
