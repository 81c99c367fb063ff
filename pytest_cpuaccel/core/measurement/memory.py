"""How much memory a process that runs a model held, and what the model's artifact takes on disk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StageMemory:
    """What a process held when one of its stages ended: its imports, the load."""

    name: str
    resident_bytes: int


@dataclass(frozen=True)
class ProcessMemory:
    """``stages`` in order, one at least; peak and bytes without a file behind them are those at the end of the last."""

    stages: tuple[StageMemory, ...]
    peak_bytes: int
    anonymous_bytes: int

    @property
    def above_imports_bytes(self) -> int:
        """Return how far the peak lies above what the process held after its first stage, the imports."""
        return self.peak_bytes - self.stages[0].resident_bytes


@dataclass(frozen=True)
class FileSize:
    """A file of an artifact, by its path in it."""

    path: str
    bytes: int


@dataclass(frozen=True)
class ArtifactSize:
    """``largest`` are a few of its files, the largest first; none where a report does not keep them."""

    bytes: int
    largest: tuple[FileSize, ...] = ()


@dataclass(frozen=True)
class MemoryMeasurement:
    """None stands for what was not measured, or what the kernel does not tell of a process."""

    process: ProcessMemory | None = None
    artifact: ArtifactSize | None = None
