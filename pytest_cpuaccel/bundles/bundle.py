"""A bundle: one call that failed, with both answers and what they were given under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.call import Answer, Method
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kernel_census import KernelCensus
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Kind, Outcome

SCHEMA = 1
DOCUMENT, TENSORS, ARTIFACT = "bundle.json", "tensors.safetensors", "artifact"

MOST_BYTES = 1 << 30
"""The most that the tensors of a bundle may take."""


@dataclass(frozen=True)
class RecordedVerdict:
    """What a test was told."""

    kind: Kind
    outcome: Outcome
    sentence: str


@dataclass(frozen=True)
class ArtifactFile:
    """``path`` is relative to the artifact's folder, with slashes."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Artifact:
    """What the backend exported. ``is_here`` tells whether the files are in the bundle, or only their digests."""

    files: tuple[ArtifactFile, ...]
    is_here: bool = False


@dataclass(frozen=True)
class Place:
    """Where the call was made: its machine and its versions."""

    cpu: str
    isa: tuple[str, ...]
    cpus: int
    threads: int
    system: str
    python: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class RecordedModel:
    """``key`` tells the model apart from others: digests of its weights, its structure and its code."""

    name: str
    key: Mapping[str, str]
    is_candidate: bool = False


@dataclass(frozen=True)
class Answers:
    """The backend's answer, and eager's: as the model is, in fp64, and in the backend's precision.

    The latter two are None where eager can't run so.
    """

    actual: Answer
    expected: Answer
    expected64: Answer | None = None
    rounding: Answer | None = None


@dataclass(frozen=True)
class Bundle:
    """``rng_state`` is the state of torch's generator before a ``generate()``, ``seed`` what it was seeded with.

    ``budget`` is that of parity; None where the test asked for none. ``artifact`` is None for a backend that writes
    none, ``kernels`` where nobody counted.
    """

    test: str
    label: str
    model: RecordedModel
    backend: str
    precision: Precision
    method: Method
    inputs: Inputs
    answers: Answers
    verdicts: tuple[RecordedVerdict, ...]
    place: Place
    seed: int
    rng_state: Any = None
    budget: ParityBudget | None = None
    kernels: KernelCensus | None = None
    artifact: Artifact | None = None

    @property
    def parity(self) -> RecordedVerdict | None:
        """Return the recorded verdict on parity."""
        return next((verdict for verdict in self.verdicts if verdict.kind == "parity"), None)
