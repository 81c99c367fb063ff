"""What a user calls the model, the reference and the rest that a test was given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ArgumentNames:
    """The names for messages: those of fixtures, of options, or of an argument of ``cpu_accelerate``."""

    model: str = "cpu_accelerate(model)"
    reference: str = "cpu_accelerate(reference=)"
    calibration: str = "cpu_accelerate(calibration=)"
    keep_fp32: str = "cpu_accelerate(keep_fp32=)"


OF_CPU_ACCELERATE = ArgumentNames()
