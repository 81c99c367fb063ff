"""A kernel census: what a runtime really ran for one call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kernel:
    """All runs of one kind of operation within one call. What is not known is None, and never guessed.

    ``op`` is the runtime's name for it. ``compute`` and ``stored`` are the precisions of the arithmetic and of the
    weights: "fp32", "bf16", "fp16", "fp64" or "int8". ``implementation`` is the runtime's name for the kernel
    (``brgemm_avx512_bf16``). ``us`` is the time of all ``count`` runs together, in microseconds, a median over calls
    or, where the runtime keeps no more, a mean.
    """

    op: str
    count: int
    compute: str | None = None
    stored: str | None = None
    implementation: str | None = None
    us: float | None = None


@dataclass(frozen=True)
class KernelCensus:
    """``source`` says who counted ("ONNX Runtime's profiler").

    ``is_complete`` is False where operations may be missing. ``fallbacks`` names operations that ran elsewhere than
    where the backend promises: in a reference kernel, on another provider, in eager mode. ``isa`` is the widest set of
    vector instructions that the kernels name; None where they name none. ``graph_breaks`` is None where nothing is
    compiled.
    """

    source: str
    kernels: tuple[Kernel, ...]
    is_complete: bool = True
    fallbacks: tuple[str, ...] = ()
    isa: str | None = None
    graph_breaks: int | None = None

    @property
    def us(self) -> float | None:
        """Return the time of all kernels that have one, in microseconds; None where none has."""
        times = [kernel.us for kernel in self.kernels if kernel.us is not None]
        return sum(times) if times else None

    @property
    def line(self) -> str:
        """Return the census in one line: ``24 MatMul int8, 9 LayerNormalization fp32, no fallback``."""
        return self.line_of(len(self.kernels))

    def line_of(self, most: int) -> str:
        """Return one line with the ``most`` kinds of kernels that took longest."""
        parts = [
            " ".join(part for part in (str(kernel.count), kernel.op, kernel.compute) if part)
            + (f" ({kernel.implementation})" if kernel.implementation else "")
            for kernel in sorted(self.kernels, key=lambda kernel: -(kernel.us or 0))[:most]
        ]
        if len(self.kernels) > most:
            parts.append(f"{len(self.kernels) - most} other kinds")
        fallbacks = f"fallbacks: {', '.join(self.fallbacks)}" if self.fallbacks else "no fallback"
        return ", ".join((*parts, fallbacks if self.is_complete or self.fallbacks else "fallbacks unknown"))
