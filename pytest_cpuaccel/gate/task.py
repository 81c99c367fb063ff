"""The task of a model, and whether it is done by ``generate()``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from pytest_cpuaccel.core.call import Method

_GENERATING = frozenset(
    {
        "text-generation",
        "text2text-generation",
        "summarization",
        "translation",
        "automatic-speech-recognition",
    }
)

_BY_CLASS: Mapping[str, str] = MappingProxyType(
    {
        "ForQuestionAnswering": "question-answering",
        "ForMaskedLM": "fill-mask",
        "ForMultipleChoice": "multiple-choice",
    }
)
"""End of a model class's name -> the task whose texts differ from those of all others."""


def names_generate(task: str | None) -> bool:
    """Tell whether a task is done by ``generate()``."""
    return task in _GENERATING


def method_for(model: nn.Module, task: str | None) -> Method:
    """Return the method that does a task; without a task, the one that a transformers model is made for."""
    can: Any = getattr(model, "can_generate", None)
    is_generator = callable(can) and can() and not type(model).__name__.endswith("ForMaskedLM")
    return "generate" if is_generator and (task is None or names_generate(task)) else "forward"


def task_of(model: nn.Module, task: str | None) -> str | None:
    """Return the task, where none is given that of the model's class, as far as its texts differ from others."""
    return task or next((found for end, found in _BY_CLASS.items() if type(model).__name__.endswith(end)), None)
