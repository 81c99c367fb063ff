"""Checks on assignments: they would change the model, but not the build that runs in its place."""

from __future__ import annotations

from typing import Any, NoReturn

from torch import nn

from pytest_cpuaccel.builder.state.code import functions_of
from pytest_cpuaccel.core.errors import UsageError

CHANGING = frozenset(
    {
        *("cuda", "half", "bfloat16", "double", "load_state_dict", "_load_from_state_dict", "apply", "share_memory"),
        *("to_empty", "type", "xpu", "ipu", "mtia", "_apply", "compile", "zero_grad", "add_module", "set_submodule"),
        *("set_extra_state", "resize_token_embeddings", "set_input_embeddings", "set_output_embeddings"),
        *("tie_weights", "init_weights", "load_adapter", "add_adapter", "set_adapter", "set_attn_implementation"),
        *("gradient_checkpointing_enable", "gradient_checkpointing_disable"),
        *("enable_input_require_grads", "disable_input_require_grads"),
        *(name for name in vars(nn.Module) if name.startswith("register_")),
    }
)
"""Methods of modules that write to them."""


def refuse_change(path: str) -> NoReturn:
    """Refuse a write to a built model; the text names the place in it.

    Raises:
        UsageError: always.
    """
    raise UsageError(f"cpu_model.{path}: a built model can't be changed; change eager_model instead")


def check_assignment(model: nn.Module, name: str, *, by_method: bool) -> None:
    """Check that an attribute of the stand-in may be set; its build keeps the value that it was made with.

    A method of the model's class may set an attribute of ``self`` that ``forward`` doesn't read.

    Raises:
        UsageError: the model has it, and its answers may depend on it.
    """
    if hasattr(model, name) and name != "generation_config" and (not by_method or name in _names_read(type(model))):
        raise _without_effect(name)


def check_config(model: nn.Module, own: Any) -> None:
    """Check that a test left its copy of a model's configuration unchanged; a pipeline may write its task's settings.

    Raises:
        UsageError: it changed a value that the model's answers may depend on.
    """
    if not hasattr(own, "to_dict"):
        return
    before, now = model.config.to_dict(), own.to_dict()  # type: ignore[union-attr, operator]
    of_tasks = {name for task in (before.get("task_specific_params") or {}).values() for name in task}
    for name in sorted((before.keys() | now.keys()) - of_tasks):
        if before.get(name) != now.get(name):
            raise _without_effect(f"config.{name}")


def _without_effect(path: str) -> UsageError:
    return UsageError(
        f"cpu_model.{path}: setting it would change nothing in a model that is built; set it on eager_model, "
        "before the first call"
    )


def _names_read(kind: type) -> set[str]:
    """Return the names used by a class's ``forward``, and by the methods that it calls on ``self``."""
    found: set[str] = set()
    waiting = ["forward"]
    while waiting:
        for function in functions_of(getattr(kind, waiting.pop(), None)):
            new = set(function.__code__.co_names) - found
            found |= new
            waiting += [name for name in new if hasattr(kind, name)]
    return found
