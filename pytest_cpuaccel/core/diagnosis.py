"""A diagnosis: the proved or the likely cause of a wrong answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DiagnosisKind = Literal["hint", "fault"]
"""A hint is read from the numbers. A fault is proved: with it, eager gives the same wrong answer."""

Culprit = Literal["model", "tolerance", "chance", "build"]
"""What is to blame: what runs in place of the model, the tolerance asked for, chance, or a build for other inputs."""


@dataclass(frozen=True)
class Diagnosis:
    """``sentence`` states the cause, for a person.

    ``output`` names the output that shows the fault. ``module`` names the part of the model that causes it, "" for the
    whole model. ``figures`` holds the numbers behind the diagnosis, by name.
    """

    kind: DiagnosisKind
    sentence: str
    output: str = ""
    module: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    culprit: Culprit = "model"
