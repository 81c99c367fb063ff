"""Memory of this process, as the kernel counts it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Memory:
    """Bytes resident in this process alone: now, of these without a file behind them, and at most so far.

    Resident is what ``ps`` calls RSS: pages of this process that lie in memory now, those of libraries and of mapped
    weights too, so far as they were touched.
    """

    resident_bytes: int
    anonymous_bytes: int
    peak_bytes: int


def read_memory(status: Path = Path("/proc/self/status")) -> Memory | None:
    """Return the memory of this process now; None where the kernel does not tell.

    ``getrusage`` is no substitute: its ``ru_maxrss`` starts at what the parent held (Linux, ``exec_mmap``).
    """
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        kilobytes = {name: text.split()[0] for name, _, text in (line.partition(":") for line in lines) if text.strip()}
        return Memory(*(1024 * int(kilobytes[name]) for name in ("VmRSS", "RssAnon", "VmHWM")))
    except (OSError, KeyError):
        return None
