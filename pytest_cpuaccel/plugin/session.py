"""The session of a pytest run, opened under its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from pytest_cpuaccel.baselines.settings import BaselineSettings
from pytest_cpuaccel.baselines.store import read_baseline, shelf_of
from pytest_cpuaccel.bundles.leave import BundleSettings, leave_bundle
from pytest_cpuaccel.core.tolerance_lock import Lock, LockKey
from pytest_cpuaccel.evaluation import session
from pytest_cpuaccel.evaluation.session import Session, SessionSettings
from pytest_cpuaccel.evaluation.tolerance_book import ToleranceBook
from pytest_cpuaccel.machine.lock import MachineLock
from pytest_cpuaccel.plugin.options import Settings
from pytest_cpuaccel.plugin.progress import Progress


def open_session(
    settings: Settings, progress: Progress, lock: MachineLock, tolerances: Mapping[LockKey, Lock]
) -> Session:
    """Return a session under these settings, which holds outputs to ``tolerances``; nothing is built yet."""
    own = SessionSettings(
        threads=settings.threads,
        task=settings.task,
        cache_dir=settings.cache_dir,
        cache_limit_bytes=settings.cache_limit_bytes,
        cache_verify=settings.cache_verify,
        wait_s=settings.wait_s,
        localize=settings.localize,
        baselines=_baseline_settings(settings),
    )
    opened = session.open_session(own, progress, lock)
    book = ToleranceBook(tolerances, is_asked=settings.tolerances.is_written or bool(tolerances))
    opened.context = replace(opened.context, tolerances=book)
    if settings.bundles is not None:
        keep = partial(leave_bundle, BundleSettings(settings.bundles, settings.bundle_artifact))
        opened.context = replace(opened.context, keep=keep)
    return opened


def _baseline_settings(settings: Settings) -> BaselineSettings:
    root, save, against = settings.baselines_dir, settings.save, settings.against
    return BaselineSettings(
        shelf=shelf_of(root, save) if save else None,
        against=read_baseline(root, against) if against else None,
        max_slowdown=settings.against_slowdown,
    )
