"""The tokenizer, image processor and feature extractor that lie beside a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends.toolkit.upstream import silenced
from pytest_cpuaccel.core.errors import CpuaccelError

_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_PROCESSOR = ("preprocessor_config.json", "processor_config.json")


@dataclass
class CheckpointFiles:
    """Each is None where ``source``, a folder or hub id, has none; ``notes`` say why one that is there is not used."""

    source: str
    notes: list[str] = field(default_factory=list)

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer."""
        return self._read("tokenizer", "AutoTokenizer", _TOKENIZER)

    @cached_property
    def image_processor(self) -> Any:
        """The image processor."""
        return self._read("image processor", "AutoImageProcessor", _PROCESSOR)

    @cached_property
    def feature_extractor(self) -> Any:
        """The feature extractor of sounds."""
        return self._read("feature extractor", "AutoFeatureExtractor", _PROCESSOR)

    def used(self, what: str, use: Callable[[], Any]) -> Any:
        """Return what ``use()`` makes; None, with a note, where that fails."""
        try:
            with silenced():
                return use()
        except CpuaccelError as refusal:
            self.notes.append(f"the {what} of {self.source!r} is not used: {refusal}")
            return None

    def _read(self, what: str, loader: str, files: tuple[str, ...]) -> Any:
        import transformers

        folder = Path(self.source).expanduser()
        if folder.is_dir():
            if not any((folder / name).is_file() for name in files):
                return None
            return self.used(what, lambda: getattr(transformers, loader).from_pretrained(folder))
        try:
            with silenced():
                return getattr(transformers, loader).from_pretrained(self.source)
        except CpuaccelError:  # a checkpoint on the hub that has none
            return None
