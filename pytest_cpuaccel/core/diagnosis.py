"""A diagnosis: what a wrong answer comes from, or looks as if it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DiagnosisKind = Literal["hint", "fault"]
"""A hint is what the numbers look like; a fault was shown: with it, eager gives the same wrong answer."""


@dataclass(frozen=True)
class Diagnosis:
    """``sentence`` says it to a person.

    ``output`` names the output it was found in, ``module`` the part of the model that it blames, "" for all of it;
    ``figures`` are the numbers that it stands on, by name.
    """

    kind: DiagnosisKind
    sentence: str
    output: str = ""
    module: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
