"""A path on the command line."""

from __future__ import annotations

import os
from pathlib import Path


def path(text: str) -> Path:
    """Return the path; ``~`` is the home folder, also where the shell leaves it, as in ``--page=~/page.md``."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  (an unknown ~name is a name)
