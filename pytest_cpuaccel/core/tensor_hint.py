"""A hint for a call whose inputs should have been tensors: lists, text, numpy arrays, images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_cpuaccel.core.inputs import Inputs

_AS_TENSOR = "give a tensor, torch.as_tensor(...)"
_TOKENIZED = 'give what the tokenizer returns under return_tensors="pt"'
_PROCESSED = 'give what the processor returns under return_tensors="pt"'
_EITHER = 'give torch.as_tensor(...), or what the tokenizer or processor returns under return_tensors="pt"'


def tensor_hint(inputs: Inputs, error: Exception | None = None) -> str:
    """Return which input is no tensor, of what type it is, and what to give; ``""`` if no input is to blame.

    A number or a text may be right beside tensors. So where there are any, only an input is to blame whose type the
    ``error`` names.
    """
    from pytest_cpuaccel.core import tree

    given: list[tuple[str, Any]] = [(str(place), value) for place, value in enumerate(inputs.args)]
    has_tensors = next(tree.tensors([inputs.args, dict(inputs.kwargs)]), None) is not None
    for name, value in [*given, *inputs.kwargs.items()]:
        kind = _kind(value)
        is_blamed = error is not None and any(words in str(error) for words in (f"not {kind}", f"'{kind}' object"))
        if next(tree.tensors([value]), None) is None and (is_blamed or not has_tensors) and (way := _way(value)):
            article = "an" if kind[0] in "aeioAEIO" else "a"
            return f"input {name!r} is {article} {kind}, no tensor; {way}"
    return ""


def _kind(value: object) -> str:
    kind = type(value)
    return f"numpy.{kind.__name__}" if kind.__module__ == "numpy" else kind.__name__


def _way(value: Any) -> str:
    """Return what to give in a value's place; ``""`` for a value that stands for no tensor."""
    if isinstance(value, str):
        return _TOKENIZED
    if type(value).__module__.partition(".")[0] == "PIL":
        return _PROCESSED
    if isinstance(value, (bool, int, float)) or hasattr(value, "__array__"):
        return _AS_TENSOR
    if isinstance(value, Mapping):
        return _EITHER if len(value) else ""
    if isinstance(value, (list, tuple)) and len(value):
        return _TOKENIZED if isinstance(value[0], str) else _PROCESSED if _way(value[0]) == _PROCESSED else _EITHER
    return ""
