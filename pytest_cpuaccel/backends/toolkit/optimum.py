"""Optimum's classes for a runtime: the class that takes a model's call, and the export through it."""

from __future__ import annotations

import gc
import importlib
import inspect
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.graph import Graph
from pytest_cpuaccel.backends.toolkit.runtime import Runtime
from pytest_cpuaccel.backends.toolkit.shapes import Shapes
from pytest_cpuaccel.backends.toolkit.upstream import silenced
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.errors import BuildError

_WITHOUT_EFFECT = {
    ("return_dict", "True"),
    ("use_cache", "True"),
    ("use_cache", "False"),
    ("output_attentions", "False"),
    ("output_hidden_states", "False"),
}
"""Constant arguments that don't change the answer."""

_TEMPORARY = "_model_save_dir_tempdirectory_instance"
"""The attribute in which a class of optimum-intel keeps the temporary folder of its last export until Python ends."""


def class_for(runtime: Runtime, module: nn.Module) -> type[Any]:
    """Return the class of Optimum that stands for ``type(module)``.

    Some models have several classes (BART has one for masked words): take the decoding one if the model decodes.

    Raises:
        ImportError: Optimum is not installed, or does not import.
        BuildError: it has none.
    """
    candidates = [candidate for candidate in _classes(runtime) if type(module) in _stands_for(candidate, module)]
    if not candidates:
        raise BuildError(f"Optimum has no {runtime.prefix}* for {type(module).__name__}")
    decodes = bool(getattr(module.config, "is_encoder_decoder", False))
    return next((candidate for candidate in candidates if _decodes(candidate) == decodes), candidates[0])


def check_call(optimum_class: type[Any], graph: Graph) -> None:
    """Raise :class:`BuildError` unless the class takes the call's tensors, and the call asks for nothing else."""
    odd = [name for name, value in graph.constants if (name, value) not in _WITHOUT_EFFECT]
    odd += set(graph.input_names) - set(inspect.signature(optimum_class.forward).parameters)
    if odd:
        raise BuildError(f"{optimum_class.__name__} takes no {', '.join(odd)}")


def export(runtime: Runtime, optimum_class: type[Any], module: nn.Module, folder: Path) -> None:
    """Export ``module`` through the class, to ``folder``.

    Raises:
        BuildError: Optimum can't, or ``save_pretrained`` would lose a part of the module (a replaced layer, say).
    """
    with tempfile.TemporaryDirectory() as source:
        module.save_pretrained(source)  # type: ignore[operator]
        if not _is_kept_in(source, module):
            raise BuildError(f"save_pretrained does not keep all of this {type(module).__name__}")
        try:
            optimum_class.from_pretrained(source, export=True, **runtime.export_options(module)).save_pretrained(folder)
        finally:
            if vars(optimum_class).get(_TEMPORARY) is not None:
                vars(optimum_class)[_TEMPORARY].cleanup()
                delattr(optimum_class, _TEMPORARY)
            gc.collect()  # the exported model is part of a cycle, and its temporary folder lives as long as it does


def load(runtime: Runtime, class_name: str, folder: Path, threads: int) -> Any:
    """Load the model of Optimum that :func:`export` wrote."""
    with silenced():
        optimum_class = getattr(importlib.import_module(runtime.library), class_name)
        return optimum_class.from_pretrained(folder, **runtime.load_options(threads))


def outputs(model: Any, graph: Graph, tensors: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Return the answer of a model of Optimum, in the graph's order."""
    answer = model(**dict(zip(graph.input_names, tensors, strict=True)))
    return [answer[name] for name in graph.output_names]


def shapes(tensors: tuple[torch.Tensor, ...]) -> Shapes:
    """Return the shapes that Optimum exports for: any batch, and for token ids and masks any length."""
    free = {(place, 0) for place, tensor in enumerate(tensors) if tensor.dim()}
    free |= {(place, 1) for place, tensor in enumerate(tensors) if tensor.dim() == 2 and not tensor.is_floating_point()}
    return Shapes.fixed_but(tensors, free)


def answered(graph: Graph, model: Any, tensors: tuple[torch.Tensor, ...]) -> set[str]:
    """Return the names among the graph's outputs that the model answers."""
    answer = model(**dict(zip(graph.input_names, tensors, strict=True)))
    names = {name for name, leaf in tree.named_leaves(answer) if isinstance(leaf, torch.Tensor)}
    return names & set(graph.output_names)


def _classes(runtime: Runtime) -> Iterator[type[Any]]:
    """Yield the runtime's classes that name an Auto class themselves instead of inheriting the base's AutoModel."""
    library = importlib.import_module(runtime.library)
    for name in dir(library):
        candidate = getattr(library, name) if name.startswith(runtime.prefix) else None
        if isinstance(candidate, type) and "auto_model_class" in vars(candidate):
            yield candidate


def _decodes(optimum_class: type[Any]) -> bool:
    return "decoder_input_ids" in inspect.signature(optimum_class.forward).parameters


def _stands_for(optimum_class: type[Any], module: nn.Module) -> tuple[type[Any], ...]:
    """Return the transformers classes that an Optimum class replaces, among those of the module's config."""
    mapping = getattr(optimum_class.auto_model_class, "_model_mapping", {})
    models = mapping.get(type(module.config), ())
    return tuple(models) if isinstance(models, (tuple, list)) else (models,)


def _is_kept_in(source: str, module: nn.Module) -> bool:
    implementation = module.config._attn_implementation  # type: ignore[union-attr]
    kept = type(module).from_pretrained(source, attn_implementation=implementation)  # type: ignore[attr-defined]
    weights, kept_weights = module.state_dict(), kept.state_dict()
    return (
        repr(kept) == repr(module)
        and weights.keys() == kept_weights.keys()
        and all(torch.equal(weight, kept_weights[name]) for name, weight in weights.items())
    )
