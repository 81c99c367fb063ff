"""The machine: what its CPU is called and which vector instructions it has."""

from __future__ import annotations

import functools
import os
import platform
from dataclasses import dataclass
from pathlib import Path

_ISA_FLAGS = {
    "avx2": "avx2",
    "avx512f": "avx512",
    "avx512_vnni": "vnni",
    "avx_vnni": "avx-vnni",
    "avx512_bf16": "bf16",
    "amx_tile": "amx",
    "asimd": "neon",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "bf16": "bf16",
    "sve": "sve",
}
"""Kernel flag -> the name people use, for the flags that decide which kernels a runtime picks."""


@dataclass(frozen=True)
class Machine:
    """``cpu`` as the kernel names it, ``isa`` the vector extensions that matter here, ``cpus`` usable by us."""

    cpu: str
    isa: tuple[str, ...]
    cpus: int


@functools.cache
def this_machine() -> Machine:
    """Return the machine this process runs on; where the kernel tells nothing, what Python knows."""
    facts = _cpuinfo()
    flags = set((facts.get("flags") or facts.get("Features") or "").split())
    isa = tuple(dict.fromkeys(name for flag, name in _ISA_FLAGS.items() if flag in flags))
    name = facts.get("model name") or platform.processor() or platform.machine()
    return Machine(name, isa, _usable_cpus())


def _cpuinfo() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpus_online() -> int:
    """Return the CPUs that the machine has, whether or not this process may use them: the load is over all of them."""
    return os.cpu_count() or 1
