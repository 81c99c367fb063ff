"""The source of an eager model: a module as it is, or a folder or hub id that transformers loads."""

from __future__ import annotations

import os
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.builder.compiled_models import check_plain
from pytest_cpuaccel.core.errors import CpuaccelError, EagerError, UsageError
from pytest_cpuaccel.core.suggestion import suggestion

_NAMES = 4
"""The most weights that a note names."""


def _tell_nobody(_: str) -> None:
    pass


def eager_model_of(
    source: object, task: str | None = None, *, of: str = "eager_model", say: Callable[[str], None] = _tell_nobody
) -> nn.Module:
    """Return the eager model that ``source`` stands for: an ``nn.Module``, a path or a hub id.

    ``of`` is the user's name for it, for messages. ``say`` gets a note where a checkpoint lacks weights.

    Raises:
        UsageError: not a model, a path that isn't there, an id that can't be loaded, an unknown task.
        EagerError: the model is in training mode, on another device, or not in fp32.
    """
    if isinstance(source, nn.Module):
        return _fit(source, of)
    if isinstance(source, (str, os.PathLike)):
        return _fit(_loaded(os.fspath(source), task, of, say), of)
    raise UsageError(f"{of}: {_other_than_a_model(source)}")


def _other_than_a_model(source: object) -> str:
    """Return what was given in a model's place, and what to give."""
    if isinstance(source, type) and issubclass(source, nn.Module):
        return f"{source.__name__} is a class, not a model; give an instance, {source.__name__}(...).eval()"
    kind = "None" if source is None else type(source).__name__
    if isinstance(getattr(source, "model", None), nn.Module):
        return f"{kind} is not a model; give the model in it, its attribute .model"
    if isinstance(source, Mapping) and any(isinstance(value, torch.Tensor) for value in source.values()):
        return f"{kind} is a state dict, not a model; load it into one by load_state_dict()"
    return f"{kind} is not a model; give an nn.Module, a folder or a hub id"


def _fit(model: nn.Module, of: str) -> nn.Module:
    name = type(model).__name__
    check_plain(model, of)
    _check_eval_is_offered(model, of)
    if model.training:
        raise EagerError(
            f"{of}: {name} is in training mode, where dropout drops and BatchNorm uses the batch; call .eval() on it"
        )
    for path, child in model.named_modules():
        if child.training and (what := _trained_by(child)):
            raise EagerError(
                f"{of}: '{path}' ({type(child).__name__}) of {name} is in training mode, where it {what}; "
                "call .eval() on the model last"
            )
    for tensor in (*model.parameters(), *model.buffers()):
        if nn.parameter.is_lazy(tensor):
            raise EagerError(
                f"{of}: {name} has parameters that its first call makes (a lazy module); call it once before"
            )
        if tensor.device.type != "cpu":
            raise EagerError(f"{of}: {name} is on '{tensor.device}'; backends here run on the CPU: .to('cpu')")
        if tensor.is_floating_point() and tensor.dtype is not torch.float32:
            raise EagerError(
                f"{of}: {name} has weights in {tensor.dtype}; the reference is fp32: load it with "
                "dtype=torch.float32 and choose precisions by backend"
            )
    return model


def _check_eval_is_offered(model: nn.Module, of: str) -> None:
    """Check that no part is a module of torch.export: it is always in training mode and refuses ``eval()``."""
    for path, child in model.named_modules():
        is_exported = any(kind.__module__.startswith("torch.export.") for kind in type(child).__mro__)
        if child.training and is_exported and "eval" in vars(child):
            part = f"'{path}' of {type(model).__name__}" if path else "it"
            raise EagerError(
                f"{of}: {part} is a module of torch.export, which can't be put into eval mode; give the model that it "
                "was exported from, in eval mode"
            )


def _trained_by(module: nn.Module) -> str:
    """Return the effect of training mode on a module; ``""`` if it has none."""
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return "normalises by the batch at hand and updates its statistics" if module.track_running_stats else ""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return "drops at random" if module.p > 0 else ""
    if isinstance(module, (nn.RNNBase, nn.MultiheadAttention, nn.Transformer)):
        return "drops at random" if vars(module).get("dropout") else ""
    return "does something else, for its code reads self.training" if _reads_training(type(module)) else ""


def _reads_training(kind: type[nn.Module]) -> bool:
    own = kind.__mro__[: kind.__mro__.index(nn.Module)]
    functions = (value for base in own for value in vars(base).values() if isinstance(value, types.FunctionType))
    return any("training" in function.__code__.co_names for function in functions)


def _loaded(source: str, task: str | None, of: str, say: Callable[[str], None]) -> nn.Module:
    if not source.strip():
        raise UsageError(f"{of}: {source!r} names no model; give an nn.Module, a folder or a hub id")
    looks_like_path = source.startswith((".", "/", "~")) or source.endswith("/") or source.count("/") > 1
    folder = Path(source).expanduser()
    if looks_like_path and not folder.is_dir():
        raise UsageError(f"{of}: no folder {source!r}; give a folder that save_pretrained wrote, or a hub id")
    try:
        import transformers
    except ImportError as error:
        raise UsageError(f"{of}: {source!r} needs transformers to load: pip install transformers") from error
    try:
        config = transformers.AutoConfig.from_pretrained(folder if folder.is_dir() else source)
        loader = _loader(config, task)
        model: nn.Module
        model, found = loader.from_pretrained(folder if folder.is_dir() else source, output_loading_info=True)
    except CpuaccelError:
        raise
    except Exception as error:
        if task and "Unrecognized configuration class" in str(error):
            kind = next(iter(config.architectures or ()), config.model_type)
            raise UsageError(
                f"{of}: {source!r} is a {kind}, and transformers has no {loader.__name__} for {config.model_type!r}: "
                f"it can't do {task!r}"
            ) from error
        where = "" if folder.is_dir() else " (there is no such folder, so it was taken for a hub id)"
        raise UsageError(f"{of}: can't load {source!r}: {reason(error)}{where}") from error
    if found["missing_keys"]:
        say(f"{source!r} lacks weights of {type(model).__name__}, which are random: {_listed(found['missing_keys'])}")
    return model.float().eval()


def _listed(names: Iterable[str]) -> str:
    first, more = sorted(names)[:_NAMES], sorted(names)[_NAMES:]
    return f"{', '.join(first)}{f' and {len(more)} more' if more else ''}"


def check_task(task: str, flag: str) -> None:
    """Check that there is such a task; ``flag`` is the option that names it.

    Raises:
        UsageError: there is none.
    """
    if task not in _AUTO_CLASSES:
        raise UsageError(f"{flag}: no task {task!r}; {suggestion(task, _AUTO_CLASSES)}")


def _loader(config: Any, task: str | None) -> Any:
    """Return the Auto class for a task; without a task, the class that the checkpoint names."""
    import transformers

    named = next(iter(config.architectures or ()), None)
    if task:
        return _auto_class(task, named or "")
    return getattr(transformers, named, None) or transformers.AutoModel if named else transformers.AutoModel


_AUTO_CLASSES: Mapping[str, tuple[str, ...]] = {
    "text-classification": ("SequenceClassification",),
    "zero-shot-classification": ("SequenceClassification",),
    "token-classification": ("TokenClassification",),
    "ner": ("TokenClassification",),
    "question-answering": ("QuestionAnswering",),
    "fill-mask": ("MaskedLM",),
    "text-generation": ("CausalLM",),
    "text2text-generation": ("Seq2SeqLM",),
    "summarization": ("Seq2SeqLM",),
    "translation": ("Seq2SeqLM",),
    "feature-extraction": ("",),
    "sentence-similarity": ("",),
    "image-classification": ("ImageClassification",),
    "image-feature-extraction": ("",),
    "object-detection": ("ObjectDetection",),
    "image-segmentation": (
        "ImageSegmentation",
        "SemanticSegmentation",
        "InstanceSegmentation",
        "UniversalSegmentation",
    ),
    "depth-estimation": ("DepthEstimation",),
    "zero-shot-image-classification": ("ZeroShotImageClassification",),
    "zero-shot-object-detection": ("ZeroShotObjectDetection",),
    "audio-classification": ("AudioClassification",),
    "automatic-speech-recognition": ("SpeechSeq2Seq", "CTC"),
    "multiple-choice": ("MultipleChoice",),
}
"""Task of a pipeline, also of those that transformers 5 dropped -> suffixes of ``AutoModelFor`` ("" for AutoModel).

Of several, the one that the checkpoint's own class ends in counts, else the first.
"""


def _auto_class(task: str, named: str) -> Any:
    import transformers

    check_task(task, "--cpu-task")
    suffixes = _AUTO_CLASSES[task]
    suffix = next((suffix for suffix in suffixes if suffix and named.endswith(f"For{suffix}")), suffixes[0])
    return getattr(transformers, f"AutoModelFor{suffix}" if suffix else "AutoModel")
