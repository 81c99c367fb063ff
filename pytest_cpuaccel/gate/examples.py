"""The examples that a checkpoint is judged by, made from its files and its configuration."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import CpuaccelError, UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.gate import images, sounds, texts
from pytest_cpuaccel.gate.checkpoint_files import CheckpointFiles
from pytest_cpuaccel.gate.example import Examined, Example
from pytest_cpuaccel.gate.task import method_for, task_of
from pytest_cpuaccel.zoo.example_inputs import left_padded, right_padded
from pytest_cpuaccel.zoo.optimum_inputs import SAMPLES_PER_TOKEN

NEW_TOKENS = 16
"""Those of ``generate()``, where the model has positions for them."""
_SOUND_RATE = 16000
_OTHER_INPUT = "module:function, a function of yours that returns the model and its inputs, tests any model"


@dataclass(frozen=True)
class _Size:
    """What one call holds: texts, one row each, ``tokens`` where there is no tokenizer, and seconds of sounds."""

    rows: tuple[str, ...]
    tokens: int
    seconds: tuple[float, ...]

    @property
    def batch(self) -> int:
        return len(self.rows)


SIZES = (
    _Size((texts.SHORT,), 8, (1.0,)),
    _Size((texts.LONG, texts.MIDDLE), 48, (2.5, 1.5)),
)
"""One short row, then two longer ones, of which the second is padded: a size that an export has fixed shows."""


def examined_checkpoint(source: str, model: nn.Module, task: str | None) -> Examined:
    """Return a checkpoint's model with its examples.

    Raises:
        UsageError: none can be made for this model.
    """
    maker = _Maker(model, CheckpointFiles(source), task_of(model, task), method_for(model, task))
    found = tuple(maker.examples())
    return Examined(source, model, found, tuple(dict.fromkeys((*_of_class(source, model), *maker.notes()))))


@dataclass(frozen=True)
class _Maker:
    model: nn.Module
    files: CheckpointFiles
    task: str | None
    method: Method

    def examples(self) -> Iterator[Example]:
        """Yield an example for each size.

        Raises:
            UsageError: none can be made.
        """
        for size in SIZES:
            tensors = self._from_files(size)
            own = {name: value for name, value in tensors.items() if name in self._taken}
            yield Example(self.method, Inputs(kwargs={**self._from_config(size, own), **own, **self._settings}))

    def notes(self) -> Iterator[str]:
        """Yield what the user should know of how the examples were made."""
        yield from self.files.notes
        if "input_ids" in self._taken and self.files.tokenizer is None:
            yield f"{self.files.source!r} has no tokenizer: the token ids are drawn at random"

    @property
    def _taken(self) -> set[str]:
        return {*inspect.signature(self.model.forward).parameters}

    @property
    def _settings(self) -> Mapping[str, Any]:
        if self.method != "generate":
            return {}
        return {"max_new_tokens": self._new_tokens, "min_new_tokens": self._new_tokens, "do_sample": False}

    def _from_files(self, size: _Size) -> dict[str, Any]:
        """What tokenizer, image processor and feature extractor make."""
        made: dict[str, Any] = {}
        if "input_ids" in self._taken and self.files.tokenizer is not None:
            limit = texts.most_tokens(self.model, self.files.tokenizer, self._new_tokens)
            own = texts.Texts(self.files.tokenizer, limit, self.task, self.method == "generate")
            found = self.files.used("tokenizer", lambda: own.tensors(size.rows)) or {}
            texts.check_vocabulary(found, self.model, self.files.source)
            made |= {name: value for name, value in found.items() if self._is_wanted(name)}
        if "pixel_values" in self._taken and self.files.image_processor is not None:
            processor = self.files.image_processor
            made |= self.files.used("image processor", lambda: images.processed(processor, size.batch)) or {}
        sound = {"input_values", "input_features"} & self._taken
        if sound and self.files.feature_extractor is not None:
            extractor = self.files.feature_extractor
            made |= self.files.used("feature extractor", lambda: sounds.extracted(extractor, size.seconds)) or {}
        return made

    def _from_config(self, size: _Size, own: Mapping[str, Any]) -> dict[str, Any]:
        """What else the model takes, by its configuration; random.

        Raises:
            UsageError: the configuration does not tell.
        """
        try:
            made = dict(self._by_zoo(size).kwargs)
        except CpuaccelError:
            raise
        except Exception as error:
            if own:
                return {}
            raise UsageError(
                f"{self.files.source!r}: no inputs can be made for a {type(self.model).__name__} from its "
                f"configuration ({reason(error)}); {_OTHER_INPUT}"
            ) from error
        config = getattr(self.model, "config", None)
        if "pixel_values" in made and not images.has_size(config):
            made["pixel_values"] = images.of_any_size(config, size.batch)
        if not made and not own:
            raise UsageError(
                f"{self.files.source!r}: no inputs can be made for a {type(self.model).__name__}, which takes "
                f"{', '.join(sorted(self._taken))}; {_OTHER_INPUT}"
            )
        if "attention_mask" in made and own and "attention_mask" not in own:
            del made["attention_mask"]
        if self.task == "multiple-choice":
            made = {name: value.unsqueeze(1).repeat(1, 2, 1) for name, value in made.items() if value.dim() == 2}
        return {name: value for name, value in made.items() if self._is_wanted(name)}

    def _by_zoo(self, size: _Size) -> Inputs:
        length = min(size.tokens, texts.most_tokens(self.model, None, self._new_tokens))
        if "input_values" in self._taken and "input_ids" not in self._taken:
            length = int(_SOUND_RATE * size.seconds[0]) // SAMPLES_PER_TOKEN
        is_decoder = self.method == "generate" and not getattr(self.model.config, "is_encoder_decoder", False)
        return (left_padded if is_decoder else right_padded)(self.model, size.batch, length)

    @property
    def _new_tokens(self) -> int:
        return texts.new_tokens(self.model, NEW_TOKENS) if self.method == "generate" else 0

    def _is_wanted(self, name: str) -> bool:
        """Tell whether an input is one for the method: ``generate()`` makes those of a decoder by itself."""
        return self.method == "forward" or not (name.startswith("decoder_") or name == "token_type_ids")


def _of_class(source: str, model: Any) -> Iterator[str]:
    """What to know of a model that is of another class than the one that was saved."""
    saved, loaded = next(iter(getattr(model.config, "architectures", None) or ()), None), type(model).__name__
    if saved is None:
        yield f"{source!r} names no class of its model; it is loaded as a {loaded}"
    elif saved != loaded:
        yield f"{source!r} was saved as a {saved} and is loaded as a {loaded}"
