"""Memory of this process, as the kernel counts it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Memory:
    """Resident bytes of this process: now, the part of these without a file behind it, and the peak so far.

    Resident is the RSS of ``ps``: the pages of this process that are in memory now. Pages of libraries and of mapped
    weights count once they were touched.
    """

    resident_bytes: int
    anonymous_bytes: int
    peak_bytes: int


def read_memory(status: Path = Path("/proc/self/status")) -> Memory | None:
    """Return the memory of this process now; None where the kernel does not tell.

    ``getrusage`` is no substitute: its ``ru_maxrss`` starts at the parent's value (Linux, ``exec_mmap``).
    """
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        kilobytes = {name: text.split()[0] for name, _, text in (line.partition(":") for line in lines) if text.strip()}
        return Memory(*(1024 * int(kilobytes[name]) for name in ("VmRSS", "RssAnon", "VmHWM")))
    except (OSError, KeyError):
        return None
