"""The tolerance lock of a run: found beside the configuration file, held to, and written when the run ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.plugin.options import source_of
from pytest_cpuaccel.plugin.stash import SETTINGS
from pytest_cpuaccel.tolerances.tolerance_file import NAME, read_file

if TYPE_CHECKING:
    from pytest_cpuaccel.core.tolerance_lock import Lock, LockKey

_LOCKS: pytest.StashKey[dict[LockKey, Lock]] = pytest.StashKey()


def path_of(config: pytest.Config) -> Path:
    """Return the path of the file, which need not be there: the one given, else beside the configuration file."""
    given = config.stash[SETTINGS].tolerances.path
    beside = config.rootpath if config.inipath is None else config.inipath.parent
    return given or beside / NAME


def locks_of(config: pytest.Config) -> dict[LockKey, Lock]:
    """Return the tolerances in force, those of the file as the run found it; none without a file.

    Raises:
        UsageError: the file can't be read, an entry has no meaning, or a file that was named isn't there.
    """
    if _LOCKS not in config.stash:
        config.stash[_LOCKS] = _locks_of_file(config)
    return config.stash[_LOCKS]


def _locks_of_file(config: pytest.Config) -> dict[LockKey, Lock]:
    chosen, path = config.stash[SETTINGS].tolerances, path_of(config)
    if chosen.mode == "off":
        return {}
    if path.exists():
        return read_file(path).locks
    if chosen.path is not None and not chosen.is_written:
        where = source_of(config, "tolerances")
        raise UsageError(f"{where}: there is no file {str(path)!r}; --cpu-tolerances=write makes it")
    return {}


def check_writable(config: pytest.Config) -> None:
    """Check that the file can be written.

    Raises:
        UsageError: it can't be; the text has the system's reason.
    """
    from pytest_cpuaccel.report import whole_file

    whole_file.check_writable(path_of(config), source_of(config, "tolerances"))
