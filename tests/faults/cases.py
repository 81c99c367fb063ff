"""Cases: models made for a kind of fault, and of honest arithmetic, that no architecture of the matrix has a layer for.

Another kind is a ``Case`` more in ``CASES``: ``python -m benchmarks.faults`` and ``test_faults.py`` take it from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from tests.faults.fault import Fault, with_module, with_output
from tests.faults.honest import by_fp64

Replacement = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """A model with its calls, the faults that must be caught in it, and the honest backends that must not be blamed."""

    name: str
    make: Callable[[], nn.Module]
    calls: tuple[Inputs, ...]
    faults: tuple[Fault, ...]
    honest: tuple[Backend, ...]
    method: Method = "forward"

    def __str__(self) -> str:
        return self.name


class Replaced(TorchFunctionMode):
    """Puts functions in the place of torch's, while entered."""

    def __init__(self, replacements: dict[Any, Replacement]) -> None:
        super().__init__()
        self.replacements = replacements

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.replacements.get(func, func)(*args, **(kwargs or {}))


def with_functions(honest: Backend, replacements: dict[Any, Replacement]) -> Backend:
    """Run with other functions in the place of torch's."""

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        built = honest.load(subject, folder)

        def forward(*args: Any, **kwargs: Any) -> Any:
            with Replaced(replacements):
                return built.forward(*args, **kwargs)

        return replace(built, forward=forward)

    return replace(honest, load=load)


class Pooled(nn.Module):
    """Images of a million pixels, pooled, then classified."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.convolution(x).relu().mean((2, 3)))


def looped_mean(x: torch.Tensor, axes: tuple[int, int]) -> torch.Tensor:  # noqa: ARG001
    return torch.from_numpy(np.add.accumulate(x.detach().flatten(2).numpy(), axis=-1)[..., -1]) / x[0, 0].numel()


def coarse_mean(x: torch.Tensor, axes: tuple[int, int]) -> torch.Tensor:
    return x.bfloat16().double().mean(axes).bfloat16().float()


class Chaos(nn.Module):
    """A hundred steps of the logistic map, in which every rounding grows until nothing else is left."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(100):
            x = 3.9 * x * (1 - x)
        return x


class Ranked(nn.Module):
    """The best three of scores in whole numbers, many of them equal."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.topk((8 * x).floor(), 3).indices


def last_of_equals(x: torch.Tensor, k: int) -> Any:
    values, indices = torch.sort(x.flip(-1), dim=-1, descending=True, stable=True)
    return torch.return_types.topk((values[..., :k], x.shape[-1] - 1 - indices[..., :k]))


def decoder() -> nn.Module:
    """A Llama of four layers; a case whose method is ``generate`` needs transformers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"vocab_size": 200, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4}
    torch.manual_seed(1)
    special = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}
    config = LlamaConfig(**sizes, **special, num_hidden_layers=4, num_key_value_heads=4, initializer_range=0.08)
    return LlamaForCausalLM(config).eval()


def prompts() -> dict[str, Any]:
    ids = torch.randint(3, 200, (2, 8), generator=torch.Generator().manual_seed(5))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "max_new_tokens": 12, "do_sample": False}


Spoil = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def in_int8(name: str, place: str = "", spoil: Spoil = torch.mul) -> Backend:
    """Every linear layer's weights rounded to int8 by a scale for each channel; those at ``place`` are restored wrong.

    ``spoil`` gets the whole numbers and the scales of that layer, and returns weights.
    """

    def quantise(module: nn.Module) -> nn.Module:
        with torch.no_grad():
            for path, layer in module.named_modules():
                if isinstance(layer, nn.Linear):
                    scale = layer.weight.abs().amax(1, keepdim=True) / 127
                    whole = (layer.weight / scale).round()
                    layer.weight.copy_((spoil if path == place else torch.mul)(whole, scale))
        return module

    return replace(with_module(EAGER, quantise), name=name, precision=Precision.INT8)


def seeded(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    def made() -> nn.Module:
        torch.manual_seed(0)
        return make().eval()

    return made


def rand(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def zeros(output: Any) -> Any:
    return tree.map_leaves(torch.zeros_like, output)


CASES: tuple[Case, ...] = (
    Case(
        "long sums",
        seeded(Pooled),
        (Inputs((rand(2, 1, 1024, 1024),)), Inputs((rand(1, 1, 512, 512),))),
        (
            Fault(
                "pooling in lower precision",
                with_functions(EAGER, {torch.Tensor.mean: coarse_mean}),
                r"a sum over \d+ elements: is that summed in lower precision",
            ),
        ),
        (
            replace(EAGER, name="eager, long sums"),
            replace(with_functions(EAGER, {torch.Tensor.mean: looped_mean}), name="long sums by a loop"),
            replace(by_fp64(EAGER), name="long sums by way of float64"),
        ),
    ),
    Case(
        "ill-conditioned",
        seeded(Chaos),
        (Inputs((rand(4, 16),)), Inputs((rand(2, 16),))),
        (Fault("zeros of an ill-conditioned call", with_output(EAGER, zeros), r"is zero throughout"),),
        (
            replace(EAGER, name="eager, ill-conditioned"),
            replace(by_fp64(EAGER), name="ill-conditioned by way of float64"),
        ),
    ),
    Case(
        "int8 decoder",
        decoder,
        (Inputs(kwargs=prompts()),),
        tuple(
            Fault(name, in_int8(name, f"model.layers.{place}", spoil), r"tokens agree; over eager's .* int8 rounding")
            for name, place, spoil in (
                ("a scale twice too large in a layer", "1.mlp.down_proj", lambda whole, scale: 2 * whole * scale),
                ("a zero point left out in a layer", "1.mlp.up_proj", lambda whole, scale: (whole + 16) * scale),
                (
                    "a range cut short in a layer",
                    "2.self_attn.o_proj",
                    lambda whole, scale: whole.clamp(-16, 16) * scale,
                ),
            )
        ),
        (in_int8("int8 weights"),),
        method="generate",
    ),
    Case(
        "tied indices",
        seeded(Ranked),
        (Inputs((rand(4, 16),)), Inputs((rand(2, 32),))),
        (Fault("indices off by one", with_output(EAGER, lambda output: output + 1), r"must be equal"),),
        (
            replace(EAGER, name="eager, tied indices"),
            replace(with_functions(EAGER, {torch.topk: last_of_equals}), name="the last of equals"),
        ),
    ),
)
