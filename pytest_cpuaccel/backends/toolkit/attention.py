"""The attention implementation of a transformers model: its present one, and a replacement."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.core.errors import BuildError, NothingToDoError

_FINITE = "cpuaccel_sdpa"


def with_attention(module: nn.Module, implementation: str) -> nn.Module:
    """Return ``module`` with another attention implementation, in eval mode; the two share their tensors.

    The model is constructed anew from its config: some choose their attention classes in the constructor and
    ignore ``set_attn_implementation`` afterwards (BERT in transformers 4.57).

    Raises:
        BuildError: not a transformers model, no such implementation for its class, or a model that its config
            alone does not describe.
    """
    name = type(module).__name__
    if not hasattr(getattr(module, "config", None), "_attn_implementation"):
        raise NothingToDoError(f"{name} is no transformers model: it has no attention implementation to switch")
    config = copy.deepcopy(module.config)
    config._attn_implementation = implementation  # type: ignore[union-attr]
    with upstream.contained():
        with torch.random.fork_rng(devices=[]):
            rebuilt: nn.Module = type(module)(config)
        rebuilt.load_state_dict(module.state_dict(keep_vars=True), assign=True)  # the parameters: those tied stay so
        for path, buffer in module.named_buffers():  # the state dict lacks the non-persistent ones
            owner, _, attribute = path.rpartition(".")
            setattr(rebuilt.get_submodule(owner), attribute, buffer)
    if hasattr(module, "generation_config"):
        rebuilt.generation_config = module.generation_config
    return rebuilt.eval()


def sdpa_of_finite_masks() -> str:
    """Register scaled_dot_product_attention with masks of finite numbers in transformers, and return its name.

    In a graph, a row that booleans mask throughout (left padding) becomes NaN; in torch it becomes zeros.

    Raises:
        BuildError: this transformers has no registry of attention functions.
    """
    try:
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.integrations.sdpa_attention import sdpa_attention_forward
        from transformers.masking_utils import eager_mask
    except ImportError as error:
        raise BuildError(f"this transformers has no registry of attention functions: {error}") from error
    AttentionInterface.register(_FINITE, sdpa_attention_forward)
    AttentionMaskInterface.register(_FINITE, eager_mask)
    return _FINITE


class SdpaCalls(TorchFunctionMode):
    """Counts, while entered, the calls of ``torch.nn.functional.scaled_dot_product_attention``."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.nn.functional.scaled_dot_product_attention
        return func(*args, **(kwargs or {}))
