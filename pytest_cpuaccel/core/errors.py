"""Errors and warnings that reach a user as one line: what was given, what would do, where it stands."""

from __future__ import annotations


class CpuaccelError(Exception):
    """Base of every error this package raises on purpose; its text is one line for the user."""


class UsageError(CpuaccelError):
    """The user asked for something that has no meaning: a wrong name, value, unit or path."""


class BackendUnavailableError(CpuaccelError):
    """A backend's packages are missing, broken, or outside the versions that it works with."""


class BuildError(CpuaccelError):
    """A backend is installed and cannot build or run this model; the text carries upstream's reason."""


class EagerError(CpuaccelError):
    """The reference itself is unfit: it raises, is in training mode, or disagrees with itself."""


class EagerRaisesError(EagerError):
    """The eager model raises on a call; ``error`` is what it raised, which the user is to see as it is."""

    def __init__(self, text: str, error: Exception) -> None:
        super().__init__(text)
        self.error = error

    def __reduce__(self) -> tuple[type[EagerError], tuple[str]]:
        """Another process gets the text alone: what the model raised need not pickle."""
        return EagerError, (str(self),)


class BusyError(CpuaccelError):
    """The machine could not be had alone in time; the text names who holds it. Nothing was measured."""


class CpuaccelWarning(UserWarning):
    """A verdict is INCONCLUSIVE: what a mark asks for could not be told, and nobody knows whether it holds."""
