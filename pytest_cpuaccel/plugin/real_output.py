"""The output of pytest itself, past the capture of what tests write."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import pytest


def real_output(config: pytest.Config) -> TextIO | None:
    """Return the standard output by a descriptor of its own, which pytest's capture doesn't redirect.

    It must be asked for while pytest captures nothing. A console that is no file is returned itself. None where there
    is no standard output, and under ``-qq``.
    """
    if config.get_verbosity() < -1 or sys.stdout is None:
        return None
    try:
        descriptor = os.dup(sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):
        return sys.stdout
    output = open(descriptor, "w", encoding=sys.stdout.encoding, errors="backslashreplace")  # noqa: PTH123, SIM115
    config.add_cleanup(output.close)
    return output
