"""Answers of a model in a file: a line of JSON that describes them, then the bytes of their tensors."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from pytest_cpuaccel.builder.fingerprint import tensor_bytes
from pytest_cpuaccel.core.call import Answer
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.exchange.description import TYPES, Describer
from pytest_cpuaccel.exchange.restoration import restored

_LONGEST_HEADER = 1 << 24
_TYPES = {str(kind).removeprefix("torch."): kind for kind in TYPES}


def write_answers(answers: Sequence[Answer], file: Path) -> None:
    """Write answers.

    Raises:
        UsageError: one holds a value that a file can't hold.
    """
    describer = Describer()
    described = [
        [
            describer.described(answer.output, "the answer", exactly=False),
            describer.described(dict(answer.written), "what the model wrote", exactly=False),
        ]
        for answer in answers
    ]
    tensors = {
        name: [str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
        for name, tensor in describer.tensors.items()
    }
    with file.open("wb") as stream:
        stream.write(json.dumps({"answers": described, "tensors": tensors}).encode() + b"\n")
        for tensor in describer.tensors.values():
            stream.write(tensor_bytes(tensor))


def read_answers(file: Path) -> list[Answer]:
    """Return the answers in a file; nothing in it is executed.

    Raises:
        UsageError: it is damaged, or describes no answers.
    """
    with file.open("rb") as stream:
        line = stream.readline(_LONGEST_HEADER)
        try:
            header = json.loads(line)
            tensors = {str(name): _read(stream.read, kind, shape) for name, (kind, shape) in header["tensors"].items()}
            return [
                Answer(restored(output, tensors), restored(written, tensors)) for output, written in header["answers"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as damage:
            raise UsageError(f"{file.name!r} is damaged: {type(damage).__name__}") from None


def _read(read: Any, kind: str, shape: Sequence[int]) -> torch.Tensor:
    dtype = _TYPES[kind]
    size = math.prod(shape) * dtype.itemsize
    held = bytearray(read(size))
    if len(held) != size or any(not isinstance(length, int) or length < 0 for length in shape):
        raise ValueError(shape)
    return torch.frombuffer(held, dtype=dtype).reshape(shape) if size else torch.empty(shape, dtype=dtype)
