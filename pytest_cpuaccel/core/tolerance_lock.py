"""The tolerance lock: tolerances of single outputs, kept in a file, and what runs find that outputs need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import inf
from typing import Any, NamedTuple


class LockKey(NamedTuple):
    """What a tolerance is for: ``model`` is a class and a digest of its parameters, ``call`` a method of it."""

    model: str
    call: str
    backend: str
    output: str

    def __str__(self) -> str:
        return f"{self.backend}: {self.model} {self.call} '{self.output}'"


@dataclass(frozen=True)
class Lock:
    """The greatest error allowed of one output; ``place`` is the file and line it stands in.

    ``rmse`` is the root mean square of the error over that of eager's output, ``largest`` the largest error over the
    largest value of eager's output. ``measured_on`` says under which versions and instruction set the lock was made.
    ``varying_db`` is the least SQNR in dB of what varies among the rows of an int8 answer; None: as by default.
    """

    rmse: float
    largest: float
    place: str = ""
    measured_on: str = ""
    varying_db: float | None = None


@dataclass(frozen=True)
class Need:
    """What one output needed: ``rmse`` and ``largest`` are the tolerance that the errors justify, as in :class:`Lock`.

    ``measured_*`` is the error found, infinite where it is not known; ``eager_*`` is eager's own in the backend's
    precision, None where it is not known.
    ``refusal`` says why no tolerance is justified; "" where one is.
    """

    rmse: float = 0.0
    largest: float = 0.0
    measured_rmse: float = inf
    measured_largest: float = inf
    eager_rmse: float | None = None
    eager_largest: float | None = None
    precision: str = ""
    versions: tuple[str, ...] = ()
    isa: str = ""
    refusal: str = ""

    def worse_of(self, other: Need) -> Need:
        """Return what covers both; a refusal stands."""
        if self.refusal or other.refusal:
            return self if self.refusal else other
        return Need(
            rmse=max(self.rmse, other.rmse),
            largest=max(self.largest, other.largest),
            measured_rmse=max(self.measured_rmse, other.measured_rmse),
            measured_largest=max(self.measured_largest, other.measured_largest),
            eager_rmse=_larger(self.eager_rmse, other.eager_rmse),
            eager_largest=_larger(self.eager_largest, other.eager_largest),
            precision=self.precision,
            versions=self.versions,
            isa=self.isa,
        )

    def as_plain(self) -> dict[str, Any]:
        """Return it as a dict of numbers, texts and lists."""
        return {**asdict(self), "versions": list(self.versions)}


def need_of(plain: Mapping[str, Any]) -> Need:
    """Return the need that :meth:`Need.as_plain` wrote."""
    return Need(**{**plain, "versions": tuple(plain["versions"])})


def _larger(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return max(known, default=None)
