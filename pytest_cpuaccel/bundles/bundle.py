"""A bundle: what failed, with both answers, or both scores, and what they were given under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_cpuaccel.core.budget import Budgets
from pytest_cpuaccel.core.call import Answer, Method
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kernel_census import KernelCensus
from pytest_cpuaccel.core.measurement.accuracy import PairedScores
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Kind, Outcome

SCHEMA = 1
DOCUMENT, TENSORS, ARTIFACT = "bundle.json", "tensors.safetensors", "artifact"

MOST_BYTES = 1 << 30
"""The most that the tensors of a bundle may take."""

LONGEST_DOCUMENT = 16 << 20
"""The most bytes of ``bundle.json``."""

MOST_TENSORS = 20_000

MOST_CALLS = 1000
"""The most calls of a model that keeps state."""


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
    """``key`` tells the model apart from others: digests of its weights, its structure and its code.

    ``keep_fp32`` are the patterns of modules that the user had the backend keep in fp32.
    """

    name: str
    key: Mapping[str, str]
    is_candidate: bool = False
    keep_fp32: tuple[str, ...] = ()


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
class RecordedCall:
    """One call and both answers. ``rng_state`` is the state of torch's generator before a ``generate()``."""

    method: Method
    inputs: Inputs
    answers: Answers
    rng_state: Any = None


@dataclass(frozen=True)
class RecordedMetric:
    """What a metric over all items came to under the backend and under eager."""

    name: str
    items: int
    score: float
    eager_score: float


@dataclass(frozen=True)
class Bundle:
    """``calls`` holds the call that the verdicts are about; of a model that keeps state all of its calls, in order.

    ``state`` names what such a model keeps. ``budgets`` are those of the test; ``scores`` are those of an accuracy
    verdict, which has no call; of a ``metric`` they are its values over resampled items, None where it was judged on
    these items alone. ``seed`` is what torch's generator was seeded with. ``artifact`` is None for a backend that
    writes none, ``kernels`` where nobody counted.
    """

    test: str
    label: str
    model: RecordedModel
    backend: str
    precision: Precision
    verdicts: tuple[RecordedVerdict, ...]
    place: Place
    seed: int
    calls: tuple[RecordedCall, ...] = ()
    state: tuple[str, ...] = ()
    budgets: Budgets = field(default_factory=Budgets)
    scores: PairedScores | None = None
    metric: RecordedMetric | None = None
    kernels: KernelCensus | None = None
    artifact: Artifact | None = None

    def verdict(self, kind: Kind) -> RecordedVerdict | None:
        """Return the recorded verdict of a kind; None where there is none."""
        return next((verdict for verdict in self.verdicts if verdict.kind == kind), None)

    @property
    def asked_once_more(self) -> bool:
        """Tell whether the last call was made after those of the test, to see what state they left."""
        return bool(self.state)

    @property
    def is_scored(self) -> bool:
        """Tell whether it is of an accuracy verdict."""
        return self.scores is not None or self.metric is not None

    @property
    def generates(self) -> bool:
        """Tell whether a call of it is a ``generate()``."""
        return any(call.method == "generate" for call in self.calls)

    @property
    def made_by_test(self) -> tuple[RecordedCall, ...]:
        """Return the calls that the test made."""
        return self.calls[:-1] if self.asked_once_more else self.calls
