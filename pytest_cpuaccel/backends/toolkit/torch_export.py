"""torch.export of a call, with every dimension dynamic that the model allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from pytest_cpuaccel.backends.toolkit.graph import FlatModule
from pytest_cpuaccel.backends.toolkit.shapes import Shapes

if TYPE_CHECKING:
    from torch.export import ExportedProgram

Tensors = tuple[torch.Tensor, ...]

_GROWABLE_AXES = (0, 1)
"""Batch and sequence: where a size of 1 is worth proving, because other calls have more."""


@dataclass(frozen=True)
class Exported:
    """A program of flat tensors, and the input shapes that it is right for."""

    program: ExportedProgram
    shapes: Shapes


def export(module: FlatModule, tensors: Tensors, *, image_sizes: bool = True) -> Exported:
    """Export ``module(*tensors)``: dynamic where that is verified, else for the shapes of ``tensors`` alone.

    torch.export fixes sizes of 0 and 1 and assumes that all others differ from them. So the example is doubled
    where it is 1 and the model allows it, and the program is then run against the module on size 1. Without
    ``image_sizes``, height and width of images are fixed too.
    """
    tensors = tuple(tensor.clone(memory_format=torch.contiguous_format) for tensor in tensors)
    example = _without_singles(module, tensors)
    dynamic = tuple(_dimensions(tensor, image_sizes) for tensor in example)
    program = _program(module, example, (dynamic,))
    places = placeholders(program, len(example))
    shapes = guarded(places, example)
    shapes = replace(shapes, singles=_proved_singles(module, program, places, example))
    if shapes.include(tensor.shape for tensor in tensors):
        return Exported(program, shapes)
    return Exported(_program(module, tensors, None), Shapes.exactly(tensors))


def _dimensions(tensor: torch.Tensor, image_sizes: bool) -> dict[int, Any]:
    dynamic: dict[int, Any] = dict.fromkeys(range(tensor.dim()), torch.export.Dim.AUTO)
    is_image = tensor.dim() == 4 and tensor.is_floating_point()
    if is_image and not image_sizes:
        dynamic |= dict.fromkeys((2, 3), torch.export.Dim.STATIC)
    return dynamic


def _program(module: FlatModule, tensors: Tensors, dynamic: Any) -> ExportedProgram:
    with torch.no_grad():
        return torch.export.export(module, tensors, dynamic_shapes=dynamic, strict=False)


def _without_singles(module: FlatModule, tensors: Tensors) -> Tensors:
    for axis in _GROWABLE_AXES:
        doubled = tuple(
            tensor.repeat_interleave(2, axis) if tensor.dim() > axis and tensor.shape[axis] == 1 else tensor
            for tensor in tensors
        )
        if _outputs(module, doubled) is not None:
            tensors = doubled
    return tensors


def placeholders(program: ExportedProgram, count: int) -> list[torch.Tensor]:
    """Return the fake tensors of the user's inputs; parameters come before them."""
    return [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"][-count:]


def guarded(places: Sequence[torch.Tensor], example: Tensors) -> Shapes:
    """Return the shapes that the program's guards allow, including guards that torch would check at run time."""
    from torch._guards import ShapeGuard, SLoc

    symbols = places[0].fake_mode.shape_env  # type: ignore[attr-defined]
    deferred = [item.expr for items in symbols.deferred_runtime_asserts.values() for item in items]
    guards = [*symbols.guards, *(ShapeGuard(item, SLoc(None, None), size_oblivious=False) for item in deferred)]
    condition = symbols.produce_guards_expression(places, guards=guards, ignore_static=False)
    return Shapes(condition or "").of_ranks(example)


def _proved_singles(
    module: FlatModule, program: ExportedProgram, places: Sequence[torch.Tensor], example: Tensors
) -> tuple[tuple[tuple[int, int], ...], ...]:
    proved: list[tuple[tuple[int, int], ...]] = []
    for axis in _GROWABLE_AXES:
        group = tuple(
            (place, axis)
            for place, tensor in enumerate(places)
            if tensor.dim() > axis and not isinstance(tensor.shape[axis], int)
        )
        combined = [pair for earlier in proved for pair in earlier] + list(group)
        if group and all(agree(module, program, _narrowed(example, pairs)) for pairs in (group, combined)):
            proved.append(group)
    return tuple(proved)


def _narrowed(tensors: Tensors, pairs: Sequence[tuple[int, int]]) -> Tensors:
    narrowed = list(tensors)
    for place, axis in pairs:
        narrowed[place] = narrowed[place].narrow(axis, 0, 1).contiguous()
    return tuple(narrowed)


def agree(module: torch.nn.Module, program: ExportedProgram, tensors: Tensors) -> bool:
    """Tell whether module and program agree to 1e-3; a wrong size makes a far greater difference."""
    expected = _outputs(module, tensors)
    actual = _outputs(_unguarded(program), tensors)
    if expected is None or actual is None:
        return False
    return all(
        left.shape == right.shape and torch.allclose(left, right, rtol=1e-3, atol=1e-3, equal_nan=True)
        for left, right in zip(actual, expected, strict=True)
    )


def _unguarded(program: ExportedProgram) -> torch.nn.Module:
    try:
        runnable: torch.nn.Module = program.module(check_guards=False)
    except TypeError:  # torch < 2.9 has no guards here, only the hook below
        runnable = program.module()
    runnable._forward_pre_hooks.clear()
    return runnable


def _outputs(module: torch.nn.Module, tensors: Tensors) -> Tensors | None:
    """Return the module's outputs; None if it refuses these inputs."""
    try:
        with torch.no_grad():
            outputs: Tensors = module(*tensors)
    except Exception:
        return None
    return outputs
