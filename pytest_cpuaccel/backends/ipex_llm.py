"""Intel Extension for PyTorch for large language models: ``ipex.llm.optimize``."""

from __future__ import annotations

from functools import partial
from typing import Any

from pytest_cpuaccel.backends import torch_census
from pytest_cpuaccel.backends.ipex import IPEX
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, generate_of, load_altered
from pytest_cpuaccel.core.backend import Backend, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError, NothingToDoError

WRONG_UPSTREAM = {
    "GPTBigCodeForCausalLM": "misreads padding on the left, and is off by 2e-4 of its logits without any",
    "WhisperForConditionalGeneration": "answers logits in forward() that have nothing to do with the model's",
}
"""Classes whose layers compute wrong answers in the extension's last release -> the effect."""


def _altered(subject: Subject) -> AlteredModel:
    """The model with its decoder layers replaced by the extension's.

    Raises:
        BuildError: the extension has no layers for this class of model, or wrong ones.
    """
    import torch

    from pytest_cpuaccel.backends.toolkit import upstream

    module: Any = subject.fresh_module()
    name = type(module).__name__
    if not hasattr(module, "config"):
        raise NothingToDoError(f"{name} is no transformers model; ipex.llm.optimize knows its classes alone")
    if name in WRONG_UPSTREAM:
        raise BuildError(f"the extension's own {name} {WRONG_UPSTREAM[name]}; use ipex")
    module.config.architectures = [name]  # the extension identifies models by it; a model made from a config lacks it
    with upstream.silenced(), torch.random.fork_rng(devices=[]):  # the extension draws weights, to replace them
        from intel_extension_for_pytorch import llm

        module = llm.optimize(module, dtype=torch.float32, inplace=True, deployment_mode=False)
    layers = llm_layers(module)
    if not layers:
        raise BuildError(f"ipex.llm.optimize has no layers for {name} and fell back to ipex.optimize; use ipex")
    module.forward = upstream.silent(module.forward)
    generate = generate_of(module, upstream.silent)
    return AlteredModel(module, lambda: {"llm_layers": layers}, generate, first_call=upstream.silenced())


def llm_layers(module: Any) -> int:
    """Return how many parts of a model are the extension's, of those made for language models."""
    return sum(
        type(part).__module__.startswith("intel_extension_for_pytorch.transformers.") for part in module.modules()
    )


IPEX_LLM = Backend(
    name="ipex-llm",
    summary="Intel Extension for PyTorch, ipex.llm.optimize",
    load=partial(load_altered, _altered),
    count_kernels=partial(torch_census.count, partial(load_altered, _altered)),
    requires=(
        *IPEX.requires,
        Requirement("transformers", ">=4.45,<4.52", "4.51.3 is the last that the extension was validated with"),
    ),
)
