"""Errors and warnings that a user sees as one line: the given value, a value that would do, and the place."""

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
    """The eager model can't be a reference: it raises, is in training mode, or disagrees with itself."""


class EagerRaisesError(EagerError):
    """The eager model raised ``error`` on a call; the user sees that exception unchanged."""

    def __init__(self, text: str, error: Exception) -> None:
        super().__init__(text)
        self.error = error

    def __reduce__(self) -> tuple[type[EagerError], tuple[str]]:
        """Send another process the text alone: the model's exception may not pickle."""
        return EagerError, (str(self),)


class UserCodeError(UsageError):
    """Code of the user, which this package was told to run, raised ``error``; it is shown with its traceback."""

    def __init__(self, text: str, error: Exception) -> None:
        super().__init__(text)
        self.error = error


class BusyError(CpuaccelError):
    """Another process held the machine for too long; the text names it. Nothing was measured."""


class CpuaccelWarning(UserWarning):
    """A verdict is INCONCLUSIVE: the measurement could not decide whether the budget holds."""
