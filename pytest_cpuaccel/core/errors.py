"""Errors and warnings that a user sees as one line: the given value, a value that would do, and the place."""

from __future__ import annotations


class CpuaccelError(Exception):
    """Base of every error this package raises on purpose; its text is one line for the user."""


class UsageError(CpuaccelError):
    """The user asked for something that has no meaning: a wrong name, value, unit or path."""


class BackendUnavailableError(CpuaccelError):
    """A backend's packages are missing, broken, or outside the versions that it works with."""


class BuildError(CpuaccelError):
    """A backend is installed and cannot build or run this model; the text carries upstream's reason.

    This is a refusal, and so is :class:`NothingToDoError`: ``--cpu-unsupported=skip`` skips the test.
    :class:`BuildFailureError` is none.
    """


class NothingToDoError(BuildError):
    """A backend refuses a model that holds nothing for it to change: under it, the model would be plain PyTorch."""


class BuildFailureError(BuildError):
    """A build went wrong, and that does not say that the backend can't run the model. It always fails the test.

    Such are a wrong answer that the backend found itself, a full disk, a process that was killed, threads that differ
    from those that it was given, and calibration data that lead nowhere.
    """


class DeadProcessError(BuildFailureError):
    """A process that ran the model died, or gave no answer in time."""


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


class Terminated(SystemExit):
    """SIGTERM came: unlike a SystemExit of the user's code, it ends the program."""


class BusyError(CpuaccelError):
    """Another process held the machine for too long; the text names it. Nothing was measured."""


class CpuaccelWarning(UserWarning):
    """A verdict is INCONCLUSIVE: the measurement could not decide whether the budget holds."""


def is_refusal(error: object) -> bool:
    """Tell whether an exception says that a backend can't run a model, or has nothing to do in it."""
    return isinstance(error, BuildError) and not isinstance(error, BuildFailureError)


def retold(error: CpuaccelError, text: str) -> CpuaccelError:
    """Return an error of the same kind with another text; of a class from elsewhere, the kind here that it is of."""
    kind = next(kind for kind in type(error).__mro__ if kind.__module__ == __name__)
    told: CpuaccelError = kind(text)
    return told
