"""Models that aren't plain PyTorch: the whole model, a part, or a function that a call runs is compiled or scripted."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from pytest_cpuaccel.builder.source_code import is_project_code
from pytest_cpuaccel.core.errors import EagerError
from pytest_cpuaccel.core.identity import ByIdentity

if TYPE_CHECKING:
    ScriptFunction = torch.jit.ScriptFunction[Any, Any]

_INSTEAD = "choose that by backend: --cpu-backends=inductor,torchscript"
_SCRIPTED_FROM = "_torchdynamo_inline"
"""The attribute of a function under torch.jit that holds the original function."""
_SCRIPTERS = ("jit/_script.py", "jit/_trace.py")
_COMPILED = "_torchdynamo_orig_callable"
"""The attribute that torch.compile sets on the functions that it returns."""

_scripted: ByIdentity[nn.Module, dict[str, ScriptFunction]] = ByIdentity()
"""The functions under torch.jit that a model's project code refers to, by name."""


def without_compiler(model: nn.Module) -> nn.Module:
    """Return the original of ``torch.compile(model)``; any other model as it is."""
    original = getattr(model, "_orig_mod", None) if type(model).__name__ == "OptimizedModule" else None
    return original if isinstance(original, nn.Module) else model


def check_plain(model: nn.Module, of: str) -> None:
    """Check that neither a model nor a part of it is compiled or scripted.

    Raises:
        EagerError: one of them is.
    """
    for path, child in model.named_modules():
        if how := _compiled_by(child):
            part = f"'{path}' of {type(model).__name__}" if path else type(model).__name__
            raise EagerError(
                f"{of}: {part} is {how}, so that it isn't eager PyTorch; return the model as it was before, and "
                f"{_INSTEAD}"
            )


def note_scripted_functions(model: nn.Module, functions: Iterable[ScriptFunction]) -> None:
    """Have calls of a model watched for functions under ``torch.jit.script`` that its code refers to.

    Functions of installed packages are allowed: they are part of that package's eager code.
    """
    of_project = {str(item.name): item for item in functions if is_project_code(getattr(item, _SCRIPTED_FROM, None))}
    if of_project:
        _scripted.setdefault(model, dict).update(of_project)


@contextmanager
def compiled_code_refused(model: nn.Module) -> Iterator[None]:
    """Watch a call of a model for compiled or scripted code, wherever that is kept.

    Raises:
        EagerError: a function under ``torch.compile`` or ``torch.jit`` ran, or a ScriptModule.
    """
    found: list[str] = []
    hook = register_module_forward_pre_hook(partial(_note_scripted_module, found))
    try:
        with _compilers_watched(found), _scripted_functions_watched(found, _scripted.get(model) or {}):
            yield
    finally:
        hook.remove()
    if found:
        raise EagerError(
            f"{type(model).__name__} runs {found[0]}, so that it isn't eager PyTorch; take that off, and {_INSTEAD}"
        )


@contextmanager
def _compilers_watched(found: list[str]) -> Iterator[None]:
    """Record functions that run under ``torch.compile`` or are scripted, in this thread and in those that it starts."""
    if sys.getprofile() is not None:
        yield
        return

    def watch(frame: types.FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call":
            return
        if code.co_name == "compile_wrapper" and code.co_filename.endswith("eval_frame.py"):
            found.append(f"{_name(frame.f_locals.get('fn'))} under torch.compile")
        elif code.co_name in ("script", "trace") and code.co_filename.endswith(_SCRIPTERS):
            found.append(f"torch.jit.{code.co_name}")

    of_threads = threading.getprofile()
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(of_threads)


@contextmanager
def _scripted_functions_watched(found: list[str], known: Mapping[str, ScriptFunction]) -> Iterator[None]:
    """Record which functions under ``torch.jit`` run; Python's own profiler does not see them."""
    if not known:
        yield
        return
    with torch.autograd.profiler.profile(use_kineto=False) as profile:
        yield
    ran = [known[event.name] for event in profile.function_events or () if event.name in known]
    found += [f"{_name(getattr(function, _SCRIPTED_FROM))} under torch.jit" for function in ran]


def _note_scripted_module(found: list[str], module: nn.Module, _: object) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        found.append(f"a ScriptModule of {module.original_name}")


def _name(function: object) -> str:
    module = getattr(function, "__module__", "")
    return f"{getattr(function, '__qualname__', 'a function')}{f' of {module}' if module else ''}"


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
    """Tell whether a function is under torch.compile. torch.compiler.disable sets the same mark; a mock has any."""
    marks = getattr(value, "__dict__", {})
    if isinstance(value, types.MethodType):
        marks = vars(value.__func__) if isinstance(value.__func__, types.FunctionType) else {}
    return not isinstance(value, (nn.Module, type)) and _COMPILED in marks and not marks.get("_torchdynamo_disable")
