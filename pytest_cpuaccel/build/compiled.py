"""Models that aren't plain PyTorch: compiled or scripted as a whole, in a part, or in a function that a call runs."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from pytest_cpuaccel.core.errors import EagerError

_INSTEAD = "choose that by backend: --cpu-backends=inductor,torchscript"
_COMPILED = "_torchdynamo_orig_callable"
"""What torch.compile sets on the functions that it returns."""


def without_compiler(model: nn.Module) -> nn.Module:
    """Return what ``torch.compile(model)`` was made of; any other model as it is."""
    original = getattr(model, "_orig_mod", None) if type(model).__name__ == "OptimizedModule" else None
    return original if isinstance(original, nn.Module) else model


def check_plain(model: nn.Module, of: str) -> None:
    """Check that neither a model nor a part of it is compiled or scripted.

    Raises:
        EagerError: one is.
    """
    for path, child in model.named_modules():
        if how := _compiled_by(child):
            part = f"'{path}' of {type(model).__name__}" if path else type(model).__name__
            raise EagerError(
                f"{of}: {part} is {how}, so that it isn't eager PyTorch; return the model as it was before, and "
                f"{_INSTEAD}"
            )


@contextmanager
def compiled_code_refused(model: nn.Module) -> Iterator[None]:
    """Watch a call of a model for functions under ``torch.compile``, wherever they are kept.

    Raises:
        EagerError: it ran one.
    """
    if "torch._dynamo" not in sys.modules or sys.getprofile() is not None:
        yield
        return
    found: list[object] = []

    def watch(frame: types.FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_name == "compile_wrapper" and code.co_filename.endswith("eval_frame.py"):
            found.append(frame.f_locals.get("fn"))

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)
    if found:
        name, module = getattr(found[0], "__qualname__", "a function"), getattr(found[0], "__module__", "")
        raise EagerError(
            f"eager_model: {type(model).__name__} runs {name}{f' of {module}' if module else ''} under torch.compile, "
            f"so that it isn't eager PyTorch; take that off, and {_INSTEAD}"
        )


def _compiled_by(module: nn.Module) -> str:
    if isinstance(module, torch.jit.ScriptModule):
        return "a ScriptModule"
    if type(module).__name__ == "OptimizedModule" or getattr(module, "_compiled_call_impl", None) is not None:
        return "compiled by torch.compile"
    if _is_compiled(module.forward):
        return "compiled by torch.compile in its forward()"
    for kind in type(module).__mro__:
        if name := next((name for name, value in vars(kind).items() if _is_compiled(value)), None):
            return f"compiled by torch.compile in its {name}()"
    own = next((name for name, value in vars(module).items() if _is_compiled(value)), None)
    return f"compiled by torch.compile in its attribute '{own}'" if own else ""


def _is_compiled(value: object) -> bool:
    """Tell a function under torch.compile; what torch.compiler.disable returns is marked alike, and a mock anyhow."""
    marks = getattr(value, "__dict__", {})
    if isinstance(value, types.MethodType):
        marks = vars(value.__func__) if isinstance(value.__func__, types.FunctionType) else {}
    return not isinstance(value, (nn.Module, type)) and _COMPILED in marks and not marks.get("_torchdynamo_disable")
