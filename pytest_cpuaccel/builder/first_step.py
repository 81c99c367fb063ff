"""The first step of ``generate()``: the arguments that the model's own loop gives to ``forward``, and how they grow.

The loop itself is run to its first step. It infers masks from padding, numbers positions, starts decoders and repeats
rows in ways that differ from model to model and from one release of transformers to the next.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.decoding import in_place_of
from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.builder.random_generators import generators_kept
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.errors import BuildFailureError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import is_cache

_ONE_ROW_EACH = {"num_beams": 1, "num_return_sequences": 1, "do_sample": False}
_LEFT_OUT = frozenset(
    {
        *("streamer", "assistant_model", "assistant_tokenizer", "tokenizer", "prompt_lookup_num_tokens"),
        *("num_beam_groups", "diversity_penalty", "constraints", "force_words_ids", "penalty_alpha", "dola_layers"),
        *("length_penalty", "early_stopping", "top_k", "top_p", "min_p", "typical_p"),
        *("temperature", "use_cache", "cache_implementation", "return_dict_in_generate", "output_scores"),
    }
)
"""Settings of the search: they don't change the first step's arguments, and may not work with one row each."""

_TEXT = frozenset({"input_ids", "attention_mask", "position_ids", "decoder_input_ids", "decoder_attention_mask"})

_HOOKS = ("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs")

_NOT_FOR_FORWARD = frozenset({"cache_position", "labels"})


class _ForwardReachedError(BaseException):
    """Ends a loop before its first forward call; none of the model's own handlers catches it."""


class _NoOutputs(dict[str, Any]):
    """Stands in for the outputs of a step; only its number of tokens matters."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@dataclass(frozen=True)
class FirstStep:
    """``ids`` are the (rows, length) tokens that the loop starts from; in an encoder-decoder, the decoder's.

    If the prompt is ``inputs_embeds``, ``ids`` are zeros, one for each embedding. ``carried`` holds the arguments that
    the loop keeps from step to step, ``encoded`` those of an encoder, both by the names of ``forward``.
    """

    loop: Any
    ids: torch.Tensor
    carried: Mapping[str, Any]
    encoded: Mapping[str, Any]
    constants: Mapping[str, Any]

    @staticmethod
    def of(model: nn.Module, inputs: Inputs, each: int = 1) -> FirstStep:
        """Return the first step of ``model.generate(*inputs.args, **inputs.kwargs)``, with ``each`` rows for a prompt.

        Raises:
            BuildError: it never calls the model's ``forward``, or calls it in an unknown way.
        """
        loop, seen = _watched(model)
        settings = {name: value for name, value in inputs.kwargs.items() if name not in _LEFT_OUT} | _ONE_ROW_EACH
        if each > 1:
            settings |= {"num_return_sequences": each, "do_sample": True}
        try:
            with _left_as_it_was(model), torch.no_grad():
                loop.generate(*tree.clone(inputs.args), **tree.clone(settings))
        except _ForwardReachedError:
            pass
        except Exception as error:
            raise BuildFailureError(f"{_name(model)}.generate() can't be followed: {reason(error)}") from error
        if "carried" not in seen:
            raise BuildFailureError(
                f"{_name(model)}.generate() does not go through the forward() of {_name(model)}, which backends build; "
                "give cpu_accelerate() the part of the model that generates"
            )
        encodes = _is_encoder_decoder(model)
        return FirstStep(
            loop,
            seen["ids"],
            seen["carried"],
            _encoded(model, inputs, each) if encodes else {},
            _constants(model, inputs),
        )

    @property
    def takes_more_than_text(self) -> bool:
        """Tell whether ``forward`` gets tensors other than token ids, their masks and positions."""
        return not self.inputs().kwargs.keys() <= _TEXT

    def inputs(self) -> Inputs:
        """Return the inputs of the forward call that the first step makes, without a cache."""
        return self._forward(self.ids, self.carried)

    def forced(self, tokens: torch.Tensor) -> Inputs:
        """Return the inputs of one forward call over ``tokens``, (rows, length), which begin with :attr:`ids`.

        Masks, token types and positions are those of the loop at that length.

        Raises:
            BuildError: the model lets them grow in an unknown way.
        """
        carried = dict(self.carried)
        with _left_as_it_was(self.loop), _followed(self.loop):
            for _ in range(tokens.shape[1] - self.ids.shape[1]):
                carried = self.loop._update_model_kwargs_for_generation(
                    _NoOutputs(), carried, is_encoder_decoder=_is_encoder_decoder(self.loop)
                )
        embeds = carried.get("inputs_embeds")
        if embeds is not None and not _is_encoder_decoder(self.loop):
            new = self.loop.get_input_embeddings()(tokens[:, embeds.shape[1] :])
            carried["inputs_embeds"] = torch.cat([embeds, new.detach()], dim=1)
        return self._forward(tokens, carried)

    def _forward(self, ids: torch.Tensor, carried: Mapping[str, Any]) -> Inputs:
        with _left_as_it_was(self.loop), _followed(self.loop), torch.no_grad():
            passed = self.loop.prepare_inputs_for_generation(ids, **carried)
        named, takes_any = _named(self.loop.forward), _takes_any(self.loop.forward)
        kept = {
            name: value
            for name, value in passed.items()
            if _holds_tensors(value) and name not in _NOT_FOR_FORWARD and (takes_any or name in named)
        }
        if self.encoded:
            kept = _with_encoder(kept, self.encoded)
        elif "attention_mask" not in kept and "input_ids" in kept and "attention_mask" in named:
            kept["attention_mask"] = torch.ones_like(ids)
        return Inputs(kwargs={**kept, **self.constants})


def _watched(model: Any) -> tuple[Any, dict[str, Any]]:
    """Return a shallow copy of a model whose loop ends at its first forward call, and the arguments of that call."""
    loop = copy.copy(model)
    seen: dict[str, Any] = {}
    prepare, forward = loop.prepare_inputs_for_generation, model.forward

    def watching(input_ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        embeds = kwargs.get("inputs_embeds")
        seen["ids"] = input_ids
        if embeds is not None and not input_ids.shape[1]:
            seen["ids"] = torch.zeros(embeds.shape[:2], dtype=torch.long)
        kept = {name: value for name, value in kwargs.items() if not is_cache(value)}
        kept.pop("next_sequence_length", None)
        seen["carried"] = kept | {"use_cache": False}
        return prepare(input_ids, *args, **kwargs)

    def ending(*args: Any, **kwargs: Any) -> Any:
        if seen:
            raise _ForwardReachedError
        return forward(*args, **kwargs)  # Whisper asks for the language first

    loop.prepare_inputs_for_generation = functools.wraps(prepare)(watching)
    loop.forward = in_place_of(forward, ending)
    return loop, seen


@contextlib.contextmanager
def _left_as_it_was(model: nn.Module) -> Iterator[None]:
    """Restore the random state, and attributes and hooks that a loop sets (Qwen2-VL's ``rope_deltas``).

    transformers hooks the parts of an encoder when hidden states are first asked for.
    """
    before = [(vars(part), dict(vars(part))) for part in model.modules()]
    hooks = [(found, dict(found)) for _, kept in before for name in _HOOKS if (found := kept.get(name)) is not None]
    try:
        with generators_kept(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for now, kept in before:
            if any(now.get(name) is not value for name, value in kept.items()) or len(now) != len(kept):
                now.clear()
                now.update(kept)
        for found, were in hooks:
            if found.keys() != were.keys():
                found.clear()
                found.update(were)


@contextlib.contextmanager
def _followed(model: nn.Module) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise BuildFailureError(f"{_name(model)}.generate() can't be followed: {reason(error)}") from error


def _encoded(model: Any, inputs: Inputs, each: int) -> dict[str, Any]:
    """Return the tensors of the call that go to the encoder of an encoder-decoder."""
    encoder = model.get_encoder() if hasattr(model, "get_encoder") else None
    name = getattr(encoder, "main_input_name", None) or getattr(model, "main_input_name", None) or "input_ids"
    takes = _named(model.forward) | (_named(encoder.forward) if encoder is not None else set())
    given = {key: value for key, value in inputs.kwargs.items() if key in takes and _holds_tensors(value)}
    main = inputs.args[0] if inputs.args else inputs.kwargs.get("inputs")
    if main is not None:
        given[str(name)] = main
    given = {key: value for key, value in given.items() if not key.startswith("decoder_") and not is_cache(value)}
    return {key: tree.map_leaves(functools.partial(_repeated, each), value) for key, value in given.items()}


def _with_encoder(kept: Mapping[str, Any], encoded: Mapping[str, Any]) -> dict[str, Any]:
    """Return a step's arguments with the encoder's inputs in place of its outputs."""
    decoded = {name: value for name, value in kept.items() if name.startswith("decoder_")}
    inferred = {"attention_mask": kept["attention_mask"]} if "attention_mask" in kept and "input_ids" in encoded else {}
    ids = encoded.get("input_ids")
    if ids is not None and not inferred and "attention_mask" not in encoded:
        inferred = {"attention_mask": torch.ones_like(ids)}
    return {**encoded, **inferred, **decoded}


def _repeated(each: int, leaf: Any) -> Any:
    return leaf.repeat_interleave(each, dim=0) if isinstance(leaf, torch.Tensor) and each > 1 else leaf


def _constants(model: nn.Module, inputs: Inputs) -> dict[str, Any]:
    """Return the user's arguments of ``forward`` that are no tensors, such as ``interpolate_pos_encoding``."""
    takes, settings = _named(model.forward), getattr(model, "generation_config", None)
    return {
        name: value
        for name, value in inputs.kwargs.items()
        if name in takes and value is not None and not _holds_tensors(value) and not hasattr(settings, name)
        if not is_cache(value)
    }


def _named(function: Callable[..., Any]) -> set[str]:
    """Names of the parameters of a function."""
    return set(inspect.signature(function).parameters)


def _takes_any(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)


def _holds_tensors(value: Any) -> bool:
    return not is_cache(value) and any(True for _ in tree.tensors(value))


def _is_encoder_decoder(model: nn.Module) -> bool:
    return bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))


def _name(model: nn.Module) -> str:
    return type(model).__name__
