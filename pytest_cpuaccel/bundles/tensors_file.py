"""Tensors in a safetensors file. It is read as if a stranger had written it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pytest_cpuaccel.bundles.bundle import MOST_BYTES
from pytest_cpuaccel.bundles.json_text import parsed
from pytest_cpuaccel.bundles.plain_file import plain_file
from pytest_cpuaccel.core.errors import UsageError

NEEDED = "bundles need safetensors: pip install 'pytest-cpuaccel[bundles]'"
_LONGEST_HEADER = 1 << 22
_MOST_DIMENSIONS = 64
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def write_tensors(tensors: Mapping[str, torch.Tensor], file: Path) -> None:
    """Write tensors that nobody else uses.

    Raises:
        UsageError: safetensors is not installed.
    """
    try:
        from safetensors.torch import save_file
    except ImportError:
        raise UsageError(NEEDED) from None
    save_file(dict(tensors), str(file))


def read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Return the tensors in a file.

    Sizes are checked before anything is allocated.

    Raises:
        UsageError: it is damaged, too large, or holds other types than a bundle does; safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise UsageError(NEEDED) from None
    names = check_tensors(file)
    try:
        with safe_open(str(file), framework="pt") as opened:
            return {name: opened.get_tensor(name).clone() for name in names}
    except (SafetensorError, OSError, ValueError, RuntimeError) as damage:
        raise UsageError(f"{file.name!r} is damaged: {str(damage)[:200]}") from None


def check_tensors(file: Path) -> list[str]:
    """Return the names of the tensors in a file whose size and header are as they have to be.

    Raises:
        UsageError: they are not.
    """
    size = plain_file(file, MOST_BYTES + _LONGEST_HEADER)
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(_LONGEST_HEADER, size - 8):
            raise UsageError(f"{file.name!r} is damaged: its header ends outside the file, or is too long")
        header = parsed(stream.read(length), file.name)
    if not isinstance(header, dict):
        raise UsageError(f"{file.name!r} is damaged: its header is no object")
    header.pop("__metadata__", None)
    ends = sorted(_range(name, entry, file.name) for name, entry in header.items())
    at = 0
    for begin, end in ends:
        if begin != at:
            raise UsageError(f"{file.name!r} is damaged: its tensors overlap or leave gaps")
        at = end
    if at != size - 8 - length:
        raise UsageError(f"{file.name!r} is damaged: it has {size} bytes, and its tensors take {at + 8 + length}")
    return list(header)


def _range(name: str, entry: Any, file: str) -> tuple[int, int]:
    """The bytes that a tensor says it takes, which must be those that its shape and dtype come to."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise UsageError(f"{file!r} is damaged: tensor {name[:40]!r} has no dtype, shape and place")
    dtype, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _SIZES:
        raise UsageError(f"{file!r}: tensor {name[:40]!r} is {json.dumps(dtype)[:20]}, which a bundle doesn't hold")
    for numbers, most in ((shape, _MOST_DIMENSIONS), (place, 2)):
        if not isinstance(numbers, list) or len(numbers) > most or any(not _is_count(number) for number in numbers):
            raise UsageError(f"{file!r} is damaged: tensor {name[:40]!r} has an impossible shape or place")
    if len(place) != 2 or math.prod(shape) * _SIZES[dtype] != place[1] - place[0]:
        raise UsageError(f"{file!r} is damaged: tensor {name[:40]!r} takes other bytes than its shape and dtype say")
    return place[0], place[1]


def _is_count(number: Any) -> bool:
    return type(number) is int and 0 <= number < 1 << 48
