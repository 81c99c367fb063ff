"""What pytest's config and its tests carry for us, made when first asked for."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import pytest

from pytest_cpuaccel.plugin.options import Settings, is_set, source_of

if TYPE_CHECKING:
    from pytest_cpuaccel.evaluation.against import Against
    from pytest_cpuaccel.evaluation.session import Session
    from pytest_cpuaccel.machine.lock import MachineLock
    from pytest_cpuaccel.plugin.added_backends import Offer
    from pytest_cpuaccel.plugin.evaluated_test import EvaluatedTest
    from pytest_cpuaccel.plugin.other import Other
    from pytest_cpuaccel.plugin.progress import Display, Progress
    from pytest_cpuaccel.plugin.selection import BackendSelection
    from pytest_cpuaccel.plugin.standby import Standby

SETTINGS = pytest.StashKey[Settings]()
_OFFERS: pytest.StashKey[dict[str, Offer]] = pytest.StashKey()
_CHOICES: pytest.StashKey[dict[tuple[str, ...], BackendSelection]] = pytest.StashKey()
_SESSION: pytest.StashKey[Session] = pytest.StashKey()
IS_OURS = pytest.StashKey[bool]()
"""Whether marks of our names are ours; decided when all is collected, so that it doesn't depend on the order."""
SHARES_MACHINE = pytest.StashKey[bool]()
"""Whether anything is judged here; if so, every test waits while another process times a model."""
RUNNING = pytest.StashKey[pytest.Item]()
"""The current test."""
STANDING = pytest.StashKey["Standing"]()
"""The fixture of the current backend, and who asked for it."""
EVALUATED_TEST: pytest.StashKey[EvaluatedTest] = pytest.StashKey()
"""A test's evaluation, from the set-up of its model to its teardown."""
THREADS: pytest.StashKey[contextlib.ExitStack] = pytest.StashKey()
"""A test's thread settings: undone when its model is torn down, and at the latest when the test is over."""
OUTPUT: pytest.StashKey[TextIO | None] = pytest.StashKey()
"""The standard output, past pytest's capture; None where pytest writes nothing there."""
RUN_FAILURES = pytest.StashKey[list[str]]()
"""Sentences that say why the run fails though no test did."""
STANDBY: pytest.StashKey[Standby] = pytest.StashKey()
"""What this process stands by for, where another one commands it."""
OTHER: pytest.StashKey[Other] = pytest.StashKey()
"""The other environment of this run, once tests are collected that are to be compared with it."""
_AGAINST: pytest.StashKey[Against] = pytest.StashKey()
FOLLOWING = pytest.StashKey["pytest.Item | None"]()
"""The test after the current one."""
_LOCK: pytest.StashKey[MachineLock] = pytest.StashKey()
_PROGRESS: pytest.StashKey[Progress] = pytest.StashKey()
WORKER_DISPLAY = "cpuaccel_display"
"""What an xdist worker is told of the controller's display, among its ``workerinput``."""


class Standing(NamedTuple):
    """The active fixture of the backend, and the test that it was set up for."""

    fixture: pytest.FixtureDef[Any]
    request: Any
    item: pytest.Item


def choice_of(config: pytest.Config) -> BackendSelection:
    """Return the backends of this run, without those of conftests that are not loaded yet.

    Raises:
        UsageError: the settings name one that can't run here, or an added backend is invalid.
    """
    return _choice_among(config, offers_of(config))


def selection_for(item: pytest.Item) -> BackendSelection:
    """Return the backends that a test knows; those of a conftest.py are for the tests below it.

    Raises:
        UsageError: as :func:`choice_of`.
    """
    return _choice_among(item.config, tuple(offer for offer in offers_of(item.config) if offer.reaches(item.path)))


def offers_of(config: pytest.Config) -> tuple[Offer, ...]:
    """Return the backends that the plugins loaded so far add; each is asked once.

    Raises:
        UsageError: an answer is not a list of backends.
    """
    from pytest_cpuaccel.plugin.added_backends import offer_of

    offers = config.stash.setdefault(_OFFERS, {})
    for found in reversed(config.hook.pytest_cpuaccel_backends.get_hookimpls()):
        if found.plugin_name not in offers:
            offers[found.plugin_name] = offer_of(config, found.plugin)
    return tuple(offers.values())


def check_names(config: pytest.Config) -> None:
    """Check that every name in the settings is that of a backend.

    Raises:
        UsageError: one isn't.
    """
    from pytest_cpuaccel.backends.registry import no_such_backend
    from pytest_cpuaccel.core.errors import UsageError
    from pytest_cpuaccel.plugin.added_backends import HOOK, shown, unread_conftests

    selection = choice_of(config)
    if not selection.unknown:
        return
    unread = next(unread_conftests(config), None)
    hint = f"; {shown(unread, config)} has {HOOK}, which is for tests below it: collect those" if unread else ""
    where = source_of(config, "backends")
    raise UsageError(f"{where}: {no_such_backend(selection.unknown[0], selection.known)}{hint}")


def is_addressed(config: pytest.Config) -> bool:
    """Tell whether a run uses this plugin: it sets one of its options, or a conftest.py adds backends."""
    added = config.hook.pytest_cpuaccel_backends.get_hookimpls()
    return is_set(config) or any(found.plugin_name.endswith("conftest.py") for found in added)


def names_may_come(config: pytest.Config) -> bool:
    """Tell whether a conftest.py that pytest will load later may add the unknown names."""
    from pytest_cpuaccel.plugin.added_backends import unread_conftests

    return bool(choice_of(config).unknown) and any(unread_conftests(config))


def _choice_among(config: pytest.Config, offers: tuple[Offer, ...]) -> BackendSelection:
    from pytest_cpuaccel.plugin.added_backends import all_offered
    from pytest_cpuaccel.plugin.selection import choose

    choices, key = config.stash.setdefault(_CHOICES, {}), tuple(offer.origin for offer in offers)
    if key not in choices:
        choices[key] = choose(config.stash[SETTINGS], all_offered(offers), source_of(config, "backends"))
    return choices[key]


def session_of(config: pytest.Config) -> Session:
    """Return the session's builds and references; this imports torch.

    Raises:
        BackendUnavailableError: torch is missing or does not work.
        BuildError: torch lacks something that every run needs.
    """
    if _SESSION not in config.stash:
        from pytest_cpuaccel.backends.requirements import check_torch
        from pytest_cpuaccel.core.internals import check_internals

        check_torch()
        check_internals()
        from pytest_cpuaccel.plugin.session import open_session
        from pytest_cpuaccel.plugin.tolerance_lock import locks_of

        session = open_session(config.stash[SETTINGS], progress_of(config), lock_of(config), locks_of(config))
        config.stash[_SESSION] = session
        if excess := questioned_threads(config):
            session.notes.append(excess)
    return config.stash[_SESSION]


def against_of(config: pytest.Config) -> Against | None:
    """Return what compares this run with the other environment; None where it is compared with none."""
    if OTHER not in config.stash:
        return None
    if _AGAINST not in config.stash:
        from pytest_cpuaccel.plugin.against import against

        other = config.stash[OTHER]
        config.stash[_AGAINST] = against(config, other)
        session_of(config).notes.extend(other.told())
    return config.stash[_AGAINST]


def open_session_of(config: pytest.Config) -> Session | None:
    """Return the session, if a test has needed it by now."""
    return config.stash.get(_SESSION, None)


def questioned_threads(config: pytest.Config) -> str:
    """Return what is wrong with the number of threads in the settings; ``""`` if nothing is.

    It is no mistake that ends the run: answers are the same on any number.
    """
    from pytest_cpuaccel.machine.excess_threads import excess_threads

    excess = excess_threads(config.stash[SETTINGS].threads)
    return f"{source_of(config, 'threads')}: {excess}" if excess else ""


def model_named(config: pytest.Config, option: str) -> str | None:
    """Return the folder or hub id that an option names; None where it isn't given.

    Raises:
        UsageError: it is a hub id, but transformers would load a folder of that name in the current folder.
    """
    source: str | None = getattr(config.stash[SETTINGS], option)
    if source is not None and not os.path.isabs(source) and os.path.isdir(source):  # noqa: PTH112, PTH117
        from pytest_cpuaccel.core.errors import UsageError

        raise UsageError(
            f"{source_of(config, option)}: {source!r} is a hub id, for no such folder stands beside that file; but "
            f"transformers would load {os.path.abspath(source)!r} in its place: write that path, or run pytest "  # noqa: PTH100
            "in another folder"
        )
    return source


def release_builds(config: pytest.Config) -> None:
    """Close the builds made so far, if there are any."""
    if _SESSION in config.stash:
        config.stash[_SESSION].context.builder.release()


def lock_of(config: pytest.Config) -> MachineLock:
    """Return this process's lock on the machine."""
    from pytest_cpuaccel.machine.lock import MachineLock, default_lock_path

    if _LOCK not in config.stash:
        controller = os.getppid() if is_worker(config) else None
        config.stash[_LOCK] = MachineLock(default_lock_path(), config.stash[SETTINGS].wait_s, controller)
    return config.stash[_LOCK]


def progress_of(config: pytest.Config) -> Progress:
    """Return what shows this process's slow work to the user."""
    if _PROGRESS not in config.stash:
        from pytest_cpuaccel.plugin.progress import Progress

        config.stash[_PROGRESS] = Progress(_display_of(config))
    return config.stash[_PROGRESS]


def _display_of(config: pytest.Config) -> Display | None:
    if is_worker(config):
        from pytest_cpuaccel.plugin.worker_progress import sender_of

        return sender_of(config, config.workerinput.get(WORKER_DISPLAY))  # type: ignore[attr-defined]
    from pytest_cpuaccel.plugin.display import display_for

    display = display_for(config, config.stash[OUTPUT])
    if display is not None:
        config.pluginmanager.register(display)
    return display


def is_worker(config: pytest.Config) -> bool:
    """Tell whether this process runs tests for a pytest-xdist controller."""
    return hasattr(config, "workerinput")
