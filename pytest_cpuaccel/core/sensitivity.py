"""A sensitivity: what reducing the precision of each module costs, and a set of modules to keep in fp32."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cpuaccel.core.localization import ModuleError


@dataclass(frozen=True)
class Sensitivity:
    """What was found about a wrong answer of an int8 or bf16 backend.

    ``modules`` has the error that each module makes by itself, given what eager's own took; the greatest first.
    ``method`` says how they were measured. ``keep_fp32`` are modules with which in fp32 the mark holds: a set of such,
    not the only one; empty where none was found, and ``note`` then says why. ``sqnr_before`` and ``sqnr_after`` are the
    answer's signal-to-quantisation-noise ratios in dB, without and with it. ``builds`` were made, in ``seconds``.
    """

    modules: tuple[ModuleError, ...] = ()
    method: str = ""
    keep_fp32: tuple[str, ...] = ()
    sqnr_before: float | None = None
    sqnr_after: float | None = None
    builds: int | None = None
    seconds: float | None = None
    note: str = ""
