"""Sets of vector instructions, by the names that stand in those of kernels."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WIDEST_FIRST = {
    "amx": ("amx",),
    "avx512": ("avx512", "avx10", "zmm"),
    "avx2": ("avx2", "ymm"),
    "avx": ("avx",),
    "sse": ("sse41", "sse42", "sse4"),
    "sve": ("sve", "sve128", "sve256", "sve512"),
    "neon": ("neon", "asimd"),
}
"""What it is called -> the words of kernels' names that mean it."""

_NO_VECTORS = "NO AVX"
"""What torch 2.8 calls a processor without AVX2."""

_WORD = re.compile(r"[^a-z0-9]+")


def widest_named(kernels: Iterable[str]) -> str | None:
    """Return the widest set that one of these names of kernels has a word of; None where none has."""
    words = {word for name in kernels if name != _NO_VECTORS for word in _WORD.split(name.lower())}
    return next((isa for isa, named in _WIDEST_FIRST.items() if words.intersection(named)), None)
