"""Silence for upstream code: its prints, progress bars and log records are dropped."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from pytest_cpuaccel.backends.toolkit import upstream


@contextmanager
def silenced() -> Iterator[None]:
    """Run upstream code :func:`upstream.contained`, without its prints and logs.

    Raises:
        BackendUnavailableError, BuildError: as :func:`upstream.contained`.
    """
    disabled_before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with upstream.contained(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(disabled_before)
