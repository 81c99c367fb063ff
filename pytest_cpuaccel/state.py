"""What pytest's config carries for us, made when first asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

import pytest

from pytest_cpuaccel.settings import Settings, source_of

if TYPE_CHECKING:
    from pytest_cpuaccel.choice import Choice
    from pytest_cpuaccel.measure.machine_lock import MachineLock
    from pytest_cpuaccel.session import Session

SETTINGS = pytest.StashKey[Settings]()
_CHOICE: pytest.StashKey[Choice] = pytest.StashKey()
_SESSION: pytest.StashKey[Session] = pytest.StashKey()
SHARES_MACHINE = pytest.StashKey[bool]()
"""Whether anything is judged here; then every test stands still while another process's clock runs."""
_LOCK: pytest.StashKey[MachineLock] = pytest.StashKey()


def choice_of(config: pytest.Config) -> Choice:
    """Return the backends of this run.

    Raises:
        UsageError: the settings name one that is unknown or can't run here.
    """
    from pytest_cpuaccel.build.registry import added_backends
    from pytest_cpuaccel.choice import choose

    if _CHOICE not in config.stash:
        added = added_backends(config.hook.pytest_cpuaccel_backends(config=config))
        config.stash[_CHOICE] = choose(config.stash[SETTINGS], added, source_of(config, "backends"))
    return config.stash[_CHOICE]


def session_of(config: pytest.Config) -> Session:
    """Return what is built and known so far; this imports torch."""
    from pytest_cpuaccel.progress import Progress
    from pytest_cpuaccel.session import open_session

    if _SESSION not in config.stash:
        progress = Progress(open_terminal(config))
        config.stash[_SESSION] = open_session(config.stash[SETTINGS], progress, lock_of(config))
    return config.stash[_SESSION]


def lock_of(config: pytest.Config) -> MachineLock:
    """Return this process's hold on the machine."""
    from pytest_cpuaccel.measure.machine_lock import MachineLock, default_lock_path

    if _LOCK not in config.stash:
        config.stash[_LOCK] = MachineLock(default_lock_path(), config.stash[SETTINGS].wait_s)
    return config.stash[_LOCK]


def is_worker(config: pytest.Config) -> bool:
    """Tell whether this process runs tests for a pytest-xdist controller."""
    return hasattr(config, "workerinput")


def open_terminal(config: pytest.Config) -> TextIO | None:
    """Return the terminal to show progress on; None under ``-q``, in a worker, and where there is none.

    It is opened anew, past the capture of the tests' output.
    """
    if is_worker(config) or config.get_verbosity() < 0 or not sys.__stdout__ or not sys.__stdout__.isatty():
        return None
    try:
        return open("/dev/tty", "w", encoding="utf-8")  # noqa: PTH123
    except OSError:
        return None
