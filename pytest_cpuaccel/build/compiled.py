"""Models that aren't plain PyTorch: compiled or scripted as a whole, in a part, or in a function that a call runs."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from pytest_cpuaccel.build.source_code import is_project_code
from pytest_cpuaccel.core.errors import EagerError

_INSTEAD = "choose that by backend: --cpu-backends=inductor,torchscript"
_SCRIPTED_FROM = "_torchdynamo_inline"
"""Where functions under torch.jit keep the one that they were made of."""
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
    """Watch a call of a model for what runs compiled or scripted, wherever it is kept.

    Raises:
        EagerError: a function under ``torch.compile`` ran, or a ScriptModule.
    """
    found: list[str] = []
    hook = register_module_forward_pre_hook(partial(_note_scripted, found))
    try:
        with _compiled_functions(found):
            yield
    finally:
        hook.remove()
    if found:
        raise EagerError(_refusal(model, found[0]))


def check_scripted_functions(
    model: nn.Module, functions: Iterable[torch.jit.ScriptFunction[Any, Any]], call: Callable[[], object]
) -> None:
    """Check that a call of a model runs none of the functions under ``torch.jit.script`` that its project defines.

    Those of installed packages are their own idea of eager.

    Raises:
        EagerError: it ran one.
    """
    of_project = {item.name: item for item in functions if is_project_code(getattr(item, _SCRIPTED_FROM, None))}
    if not of_project:
        return
    with torch.autograd.profiler.profile(use_kineto=False) as profile:
        call()
    for event in profile.function_events or ():
        if event.name in of_project:
            original = getattr(of_project[event.name], _SCRIPTED_FROM)
            raise EagerError(_refusal(model, f"{_name(original)} under torch.jit"))


@contextmanager
def _compiled_functions(found: list[str]) -> Iterator[None]:
    """Note the functions under ``torch.compile`` that run in this thread and in those that it starts."""
    if "torch._dynamo" not in sys.modules or sys.getprofile() is not None:
        yield
        return

    def watch(frame: types.FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_name == "compile_wrapper" and code.co_filename.endswith("eval_frame.py"):
            found.append(f"{_name(frame.f_locals.get('fn'))} under torch.compile")

    of_threads = threading.getprofile()
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(of_threads)


def _note_scripted(found: list[str], module: nn.Module, _: object) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        found.append(f"a ScriptModule of {module.original_name}")


def _name(function: object) -> str:
    module = getattr(function, "__module__", "")
    return f"{getattr(function, '__qualname__', 'a function')}{f' of {module}' if module else ''}"


def _refusal(model: nn.Module, what: str) -> str:
    return (
        f"eager_model: {type(model).__name__} runs {what}, so that it isn't eager PyTorch; take that off, and "
        f"{_INSTEAD}"
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
