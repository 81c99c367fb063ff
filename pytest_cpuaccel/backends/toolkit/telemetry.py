"""Telemetry: what OpenVINO and NNCF send about their use, which no test asks for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_CI = "TF_BUILD"
"""A variable that both read as "this is a CI job, send nothing"; pytest looks at others."""


@contextmanager
def telemetry_off() -> Iterator[None]:
    """Have nothing sent meanwhile.

    For each message a process is forked, which takes 0.5 s of CPU time and may run on into a timing; a conversion sends
    several.
    """
    was_set, client = _CI in os.environ, _client()
    consent = getattr(client, "consent", None)
    os.environ.setdefault(_CI, "1")
    if consent:
        client.consent = False
    try:
        yield
    finally:
        if not was_set:
            os.environ.pop(_CI, None)
        if consent:
            client.consent = consent


def _client() -> Any:
    """What sends in this process, if something was set up to."""
    package = sys.modules.get("openvino_telemetry")
    try:
        return package and package.Telemetry()
    except Exception:  # nothing was set up yet, or it is another release
        return None
