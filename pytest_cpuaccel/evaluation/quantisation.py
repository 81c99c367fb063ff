"""What a user says of how a model is to be quantised."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantisation:
    """As the user gave them: ``calibration`` inputs, and patterns of modules to ``keep_fp32``; None where not given."""

    calibration: object = None
    keep_fp32: object = None


UNSAID = Quantisation()
