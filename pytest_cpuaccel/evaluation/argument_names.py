"""What a user calls the model, the reference and the calibration data that a test was given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ArgumentNames:
    """The names for messages: those of fixtures, of options, or of an argument of ``cpu_accelerate``."""

    model: str = "cpu_accelerate(model)"
    reference: str = "cpu_accelerate(reference=)"
    calibration: str = "cpu_accelerate(calibration=)"


OF_CPU_ACCELERATE = ArgumentNames()
