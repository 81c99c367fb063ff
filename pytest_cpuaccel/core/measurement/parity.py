"""What was measured of outputs beside eager's: numbers, places and short texts, and nothing of an output's size."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.parity_questions import ParityQuestions
from pytest_cpuaccel.core.precision import Precision

Index = tuple[int, ...]


class Size(NamedTuple):
    """The sum of a vector's squares, and its largest absolute value; both NaN where something in it is NaN."""

    squares: float = 0.0
    largest: float = 0.0

    def rms(self, count: int) -> float:
        """Return the root mean square of ``count`` elements."""
        return math.sqrt(self.squares / count) if count else 0.0


@dataclass(frozen=True)
class Share:
    """In how many of how many positions the argmax over the last dimension agrees."""

    hits: int
    positions: int

    def __add__(self, other: Share) -> Share:
        return Share(self.hits + other.hits, self.positions + other.positions)

    @property
    def value(self) -> float:
        """Return the share, 0 to 1; 1 of no position."""
        return self.hits / self.positions if self.positions else 1.0


@dataclass(frozen=True)
class Neighbours:
    """How many of the ``nearest`` neighbours of each of ``rows`` are kept; ``positions`` is 0 where none has any."""

    hits: int
    positions: int
    nearest: int
    rows: int

    @property
    def value(self) -> float:
        """Return the share, 0 to 1."""
        return self.hits / self.positions if self.positions else 1.0


@dataclass(frozen=True)
class Mismatch:
    """How many elements are NaN or infinite on one side alone, where the first is, and what stands there.

    ``exact`` is eager's fp64 there, None where it is not known.
    """

    count: int
    index: Index
    actual: float
    expected: float
    exact: float | None = None


@dataclass(frozen=True)
class WorstElement:
    """The element that uses most of what ``rtol`` and ``atol`` allow: its difference, its limit, and its index.

    ``use`` is one over the other, ``exceeded`` tells whether any element is off by more than its limit.
    """

    rtol: float
    atol: float
    use: float
    difference: float
    limit: float
    exceeded: bool
    index: Index


@dataclass(frozen=True)
class Excess:
    """How many elements are off by more than a limit, and the values of the farthest."""

    count: int
    index: Index
    actual: float
    expected: float


@dataclass(frozen=True)
class Nonfinite:
    """How many elements are NaN and how many infinite, on either side."""

    actual_nan: int
    expected_nan: int
    actual_inf: int
    expected_inf: int


@dataclass(frozen=True)
class Constants:
    """The number that each side is throughout, None where it is not one.

    ``steps`` are the numbers that eager's answer is made of, where they are few.
    """

    actual: float | None
    expected: float | None
    rounding: float | None
    steps: tuple[float, ...] = ()


@dataclass(frozen=True)
class Distances:
    """How far each answer is off the reference; None where it is absent, or not finite where eager's is.

    ``rounding`` is eager in the backend's own precision, ``running`` eager with long sums as running sums.
    """

    actual: Size
    expected: Size | None = None
    rounding: Size | None = None
    running: Size | None = None


@dataclass(frozen=True)
class FloatFigures:
    """Two tensors of floating-point or complex numbers.

    Of ``total`` unmasked elements ``count`` are compared: ``alike`` ones are not finite and the same on both sides.
    ``unfit`` ones are NaN or infinite under eager, ``is_nan`` tells whether all of eager's are NaN. ``lost`` are the
    mismatches where eager's fp64 is finite and its fp32 is not, ``wrong`` the others. ``off`` is measured from eager's
    fp64 where that is known (``has_exact``), else from eager itself. ``longest`` is the number of terms of the longest
    sum that was computed in another order, ``longest_kept`` that of those that were not.

    ``of_type`` is the relative error that rounding to the output's own type may cause: 0 of fp32 and fp64.

    What follows ``of_type`` is None unless it was asked for. ``neighbours`` are None of anything but a matrix.
    ``spread`` is the root mean square by which eager's rows differ from their mean, None of few rows.
    """

    total: int
    count: int
    alike: int
    unfit: int
    is_nan: bool
    has_exact: bool
    actual: Size
    expected: Size
    exact: Size
    difference: Size
    cosine: float
    sqnr_db: float
    off: Distances
    mismatched: Mismatch | None = None
    wrong: Mismatch | None = None
    lost: Mismatch | None = None
    longest: int = 0
    longest_kept: int = 0
    of_type: float = 0.0
    worst: WorstElement | None = None
    constants: Constants | None = None
    largest_relative: float | None = None
    top1: Share | None = None
    excess: Excess | None = None
    nonfinite: Nonfinite | None = None
    neighbours: Neighbours | None = None
    spread: float | None = None

    @property
    def reference(self) -> Size:
        """Return the size of what ``off`` is measured from."""
        return self.exact if self.has_exact else self.expected

    @property
    def are_identical(self) -> bool:
        """Whether both sides are equal to the last bit."""
        return self.mismatched is None and self.difference.largest == 0


@dataclass(frozen=True)
class Tie:
    """Scores at two indices: their greatest difference in units of what rounding explains, and both numbers.

    ``excess`` is 0 where all scores are equal, and up to 1 where rounding explains their difference.
    """

    excess: float
    margin: float
    bound: float


@dataclass(frozen=True)
class FirstDifference:
    """The first element that differs, and both values."""

    index: Index
    actual: Scalar
    expected: Scalar


@dataclass(frozen=True)
class ExactFigures:
    """Two tensors of integers or bools, of which ``different`` elements of ``count`` differ; ``first`` is the first.

    ``unstable`` counts the elements in which eager's own fp64 differs from its fp32. ``is_constant_alone`` tells
    whether the answer is one number throughout, and eager's is not. ``tie`` are the scores behind indices.
    """

    count: int
    different: int
    actual_dtype: str
    expected_dtype: str
    first: FirstDifference | None = None
    unstable: int = 0
    is_constant_alone: bool = False
    tie: Tie | None = None


Relation = Literal["none", "other type", "holding tensors", "equal", "unknown", "exact", "other"]


@dataclass(frozen=True)
class ObjectFigures:
    """Two outputs of which one at least is no tensor, both described where they differ.

    ``relation`` says how they stand to each other: both None, of two types, objects with tensors in them, equal, of a
    type that nothing is known of, different though exact (text, say), or different in another way.
    """

    kind: str
    relation: Relation
    actual: str = ""
    expected: str = ""


@dataclass(frozen=True)
class FormDifference:
    """Outputs that can't be compared element by element: what differs, and how it is on both sides.

    Of outputs that one side alone has, the names of all outputs of the other are told.
    """

    what: Literal["nested", "shape", "dtype", "missing", "extra", "length"]
    actual: str = ""
    expected: str = ""


@dataclass(frozen=True)
class Emptiness:
    """An output of this shape that has no element to compare; ``is_padding`` where it has elements at all."""

    shape: Index
    is_padding: bool


OutputFigures = FloatFigures | ExactFigures | ObjectFigures | FormDifference | Emptiness


@dataclass(frozen=True)
class OtherChoice:
    """Where an output hangs on a choice between equal scores, which ``choosers`` made: ``count`` of ``total`` elements.

    ``elsewhere`` is the output with eager's own values there.
    """

    count: int
    total: int
    choosers: tuple[str, ...]
    elsewhere: OutputMeasurement


@dataclass(frozen=True)
class OutputMeasurement:
    """One output; ``figures`` are None before anything was measured, ``asked`` is what was asked for beside sizes."""

    name: str
    figures: OutputFigures | None = None
    masked: int = 0
    asked: ParityQuestions = field(default_factory=ParityQuestions)
    choice: OtherChoice | None = None

    @property
    def compared(self) -> int:
        """Return how many elements could be compared."""
        return self.figures.count if isinstance(self.figures, (FloatFigures, ExactFigures)) else 0


@dataclass(frozen=True)
class ParityMeasurement:
    """All outputs of one call.

    ``unrounded`` counts the elements that a reduced precision can't hold, where every output equals eager's fp32 bit
    for bit; None where some output does not, or nobody asked.
    """

    outputs: tuple[OutputMeasurement, ...]
    precision: Precision
    notes: tuple[str, ...] = ()
    unrounded: int | None = None


@dataclass(frozen=True)
class Divergence:
    """The first token of one row that differs.

    ``margin`` is by how much eager's logit of its own token exceeds that of the backend's token (inf where
    the backend had stopped), ``bound`` what rounding can turn round. Where the margin is negative, eager did
    not take its best token: it sampled or searched. ``actual_margin`` is by how much the backend's own logit of its
    token exceeds that of eager's, after the same tokens; None where the backend's logits are not known. With
    ``of_hypotheses`` the three are of a beam search: they compare the scores of both texts as a whole.
    """

    row: int
    position: int
    expected_token: int
    actual_token: int
    margin: float
    bound: float
    actual_margin: float | None = None
    of_hypotheses: bool = False

    @property
    def is_tie(self) -> bool:
        """Whether rounding alone explains it."""
        return (-self.bound if self.of_hypotheses else 0) <= self.margin <= self.bound


@dataclass(frozen=True)
class GivenToken:
    """A token of the prompt that was returned as another one."""

    row: int
    position: int
    expected_token: int
    actual_token: int


@dataclass(frozen=True)
class GenerationMeasurement:
    """What ``generate()`` returned beside eager's tokens; ``problem`` where the two can't be compared by token.

    ``kl_nats`` is the mean divergence from eager's next-token distribution, ``forced_agreement`` the share of equal
    best tokens, ``top5_agreement`` the share of eager's five best that are among the backend's, ``clear`` the equal
    best tokens of those that int8 does not decide, ``logits`` the backend's logits: all over eager's tokens, None where
    they are not known. ``is_sampled`` tells whether tokens were drawn, so that one may differ by rounding whatever its
    margin. ``eager_took_best`` tells whether eager's tokens are those that its logits prefer: neither drawn, nor
    penalised, nor found by a search.
    """

    precision: Precision
    tokens: int = 0
    agreeing: int = 0
    problem: FormDifference | GivenToken | None = None
    divergences: tuple[Divergence, ...] = ()
    kl_nats: float | None = None
    forced_agreement: float | None = None
    top5_agreement: float | None = None
    clear: Share | None = None
    logits: OutputMeasurement | None = None
    is_sampled: bool = False
    eager_took_best: bool = True
