"""The user's eager model and its answers.

Running it here never changes it: neither its state, nor the variables outside it in which its code keeps state.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.builder.compiled_models import compiled_code_refused
from pytest_cpuaccel.builder.first_step import FirstStep
from pytest_cpuaccel.builder.state.snapshot import untouched
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Answer, Method
from pytest_cpuaccel.core.errors import EagerRaisesError, UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import is_cache
from pytest_cpuaccel.core.private_inputs import attributes_of, is_object, private_inputs

_asked = 0
"""The number of eager runs in progress, in all threads."""


@contextlib.contextmanager
def eager_asked() -> Iterator[None]:
    """Forbid calls of stand-ins during an eager run: a backend would be compared with itself."""
    global _asked
    _asked += 1
    try:
        yield
    finally:
        _asked -= 1


def check_not_asked() -> None:
    """Check that no eager run calls a stand-in.

    Raises:
        UsageError: one does.
    """
    if _asked:
        raise UsageError(
            "cpu_model: is called during an eager run, by a model given to cpu_accelerate or a function given to "
            "score_items; let that call the model itself, or the one that it is given"
        )


def run_eager(model: nn.Module, method: Method, inputs: Inputs) -> Any:
    """Return the eager model's output for private copies of the inputs.

    Raises:
        EagerRaisesError: it raises; the text names the exception.
    """
    return answer_of(model, method, inputs).output


def answer_of(model: nn.Module, method: Method, inputs: Inputs) -> Answer:
    """Return the eager model's answer to private copies of the inputs.

    Raises:
        EagerRaisesError: it raises; the text names the exception.
    """
    with untouched(model):
        return call_eager(model, method, inputs)


def call_eager(model: nn.Module, method: Method, inputs: Inputs) -> Answer:
    """Return the eager model's answer to private copies of the inputs, and leave its state as the call does.

    Raises:
        EagerRaisesError: it raises; the text names the exception.
    """
    given = private_inputs(inputs)
    run = getattr(model, method) if method == "generate" else model
    with compiled_code_refused(model):
        try:
            with torch.no_grad(), eager_asked():
                output = run(*given.args, **given.kwargs)
        except Exception as error:
            text = f"the eager model itself raises on this call: {reason(error)}"
            raise EagerRaisesError(text, error) from error
    return Answer(output, written_inputs(model, inputs, given), _returned(given, output))


def _returned(given: Inputs, output: Any) -> int | str | None:
    """Return the input that is also the output: a mapping, which the model may have filled."""
    if not isinstance(output, MutableMapping):
        return None
    named: list[tuple[int | str, Any]] = [*enumerate(given.args), *given.kwargs.items()]
    return next((name for name, value in named if value is output), None)


def written_inputs(model: nn.Module, before: Inputs, after: Inputs) -> Mapping[str, Any]:
    """Return the inputs that a call changed, by name.

    A removed entry has ``(removed)`` after its name. A key/value cache is state for a next step and doesn't count. An
    object itself doesn't count either, but its attributes do.
    """
    if _are_untouched(before, after):
        return {}
    old, new = named_inputs(model, before), named_inputs(model, after)
    written: dict[str, Any] = {
        name: value
        for name, value in new.items()
        if not is_cache(value) and not (name in old and (is_object(value) or tree.same_values(old[name], value)))
    }
    return written | {f"{name} (removed)": True for name in old if name not in new and not _is_now_within(name, new)}


def _are_untouched(before: Inputs, after: Inputs) -> bool:
    """Tell quickly whether all is the same and nothing has attributes of its own."""
    given = after.args, dict(after.kwargs)
    return tree.same((before.args, dict(before.kwargs)), given) and not any(map(attributes_of, tree.tensors(given)))


def named_inputs(model: nn.Module, inputs: Inputs) -> dict[str, Any]:
    """Return every leaf of a call's inputs by its name: ``x``, or ``batch.ids`` for one in a dict named ``batch``."""
    named: dict[str, Any] = {}
    for place, value in enumerate(inputs.args):
        named |= _with_attributes(tree.named_leaves(value, _positional_name(model, place)))
    return named | _with_attributes(tree.named_leaves(dict(inputs.kwargs)))


def _with_attributes(leaves: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the leaves by name, with those among attributes of tensors and objects, such as ``state.h``."""
    named: dict[str, Any] = {}
    for name, leaf in leaves:
        named[name] = leaf
        named |= dict(tree.named_leaves(dict(attributes_of(leaf)), name))
    return named


def _is_now_within(name: str, named: Iterable[str]) -> bool:
    """Tell whether a container has replaced a leaf."""
    return any(other.startswith(f"{name}.") for other in named)


def _positional_name(model: nn.Module, place: int) -> str:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(model.forward).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind in positional]
    return names[place] if place < len(names) else str(place)


def forward_inputs(model: nn.Module, inputs: Inputs) -> Inputs:
    """Return the inputs of the forward call that a ``generate()`` call begins with, without a cache.

    Raises:
        BuildError: ``generate()`` does not go through the model's ``forward``.
    """
    return FirstStep.of(model, inputs).inputs()
