"""Plain PyTorch with weights and activations in bfloat16."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_cpuaccel.backends import torch_census
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, generate_of, load_altered
from pytest_cpuaccel.backends.toolkit.keeping_fp32 import but_kept, holds_floats
from pytest_cpuaccel.core.backend import Backend, Requirement, Scalar, Subject
from pytest_cpuaccel.core.errors import NothingToDoError
from pytest_cpuaccel.core.precision import Precision

if TYPE_CHECKING:
    import torch
    from torch import nn


def _altered(subject: Subject) -> AlteredModel:
    """The model in bfloat16; floats are cast on the way in, and back to eager's type on the way out.

    Modules that stay in fp32 cast in turn: what they take to fp32, and what they return to bfloat16.
    """
    import torch

    from pytest_cpuaccel.backends.toolkit import float_types as casting

    module = subject.fresh_module()
    kept = _own_floats(module, subject.keep_fp32)
    module.to(torch.bfloat16)
    for path, floats in kept.items():
        _put_back(module.get_submodule(path), floats)
    _cast_around([module.get_submodule(path) for path in _outermost(subject.keep_fp32)])
    outside = casting.float_dtype(subject.expected)

    def cast(method: Callable[..., Any]) -> Callable[..., Any]:
        return casting.results_in(outside, casting.arguments_in(torch.bfloat16, method))

    def facts() -> dict[str, Scalar]:
        dtypes = {item.dtype for item in module.parameters()}
        if kept and torch.bfloat16 not in dtypes:
            raise NothingToDoError(f"there is nothing to run in bfloat16{but_kept(subject)}")
        found = torch.bfloat16 if torch.bfloat16 in dtypes else casting.float_dtype(list(module.parameters()))
        return {"dtype": str(found)}

    return AlteredModel(cast(module), facts, generate_of(module, cast))


def _own_floats(module: nn.Module, paths: Sequence[str]) -> dict[str, dict[str, torch.Tensor]]:
    """The values of floating-point parameters and buffers of the modules at these paths, by path and name."""
    parts = {path: module.get_submodule(path) for path in paths}
    return {
        path: {
            name: item.detach().clone()
            for name, item in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False))
            if item.is_floating_point()
        }
        for path, part in {id(part): (path, part) for path, part in parts.items()}.values()
    }


def _put_back(part: nn.Module, floats: Mapping[str, torch.Tensor]) -> None:
    """Give a module its values back, as its own even where it shared them."""
    from torch import nn

    for name, value in floats.items():
        if name in part._parameters:
            part._parameters[name] = nn.Parameter(value, requires_grad=False)
        else:
            part._buffers[name] = value


def _outermost(paths: Sequence[str]) -> Iterator[str]:
    """The paths that lie within no other one."""
    found = {*paths}
    for path in paths:
        parts = path.split(".")
        if found.isdisjoint(".".join(parts[:end]) for end in range(1, len(parts))):
            yield path


def _cast_around(parts: Sequence[nn.Module]) -> None:
    """Have modules take fp32 and return bfloat16, but where one calls another: a module may be part of several."""
    import torch

    from pytest_cpuaccel.core import tree

    running: list[nn.Module] = []

    def before(part: nn.Module, args: Any, kwargs: Any) -> Any:
        running.append(part)
        return None if running[1:] else (tree.cast_floats(args, torch.float32), tree.cast_floats(kwargs, torch.float32))

    def after(_part: nn.Module, _given: Any, output: Any) -> Any:
        running.pop()
        return output if running else tree.cast_floats(output, torch.bfloat16)

    for part in {id(part): part for part in parts}.values():
        part.register_forward_pre_hook(before, with_kwargs=True)
        part.register_forward_hook(after, always_call=True)


BF16 = Backend(
    name="bf16",
    summary="plain PyTorch in bfloat16",
    load=partial(load_altered, _altered),
    count_kernels=partial(torch_census.count, partial(load_altered, _altered)),
    precision=Precision.BF16,
    quantises=holds_floats,
    requires=(Requirement("torch", ">=2.8"),),
)
