"""Checkpoints on disk, each trained once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import transformers
from filelock import FileLock

MODELS = Path(__file__).parent.parent / ".models" / transformers.__version__


def trained_once(name: str, train: Callable[[Path], None]) -> Path:
    """Return the folder of a checkpoint; ``train(folder)`` saves it when it is not there yet.

    Two test workers may ask at once: one trains, the other waits. A tokenizer that one transformers saved
    may be unknown to an older one, so each version has checkpoints of its own.
    """
    folder = MODELS / name
    MODELS.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=MODELS) as scratch:
                train(Path(scratch, name))
                Path(scratch, name).rename(folder)
    return folder
