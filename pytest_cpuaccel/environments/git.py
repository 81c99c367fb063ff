"""git, asked in such a way that a repository and its index stay as they are."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from pytest_cpuaccel.core.errors import UsageError

_OF_ANOTHER_REPOSITORY = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
)
"""Variables that a git hook passes on; they would overrule the folder that git is run in."""


class GitError(Exception):
    """git did not do it; the text is its reason, one line."""


def git(folder: Path, *arguments: str, index: Path | None = None) -> str:
    """Return what git prints, run in a folder; ``index`` is used in place of the repository's own.

    Raises:
        GitError: it ends with another exit code than 0.
        UsageError: there is no git.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    own = {} if index is None else {"GIT_INDEX_FILE": str(index)}
    try:
        said = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env={**kept, **quiet, **own},
        )
    except FileNotFoundError:
        raise UsageError("--cpu-against-rev needs git, which is not installed") from None
    if said.returncode:
        lines = said.stderr.decode(errors="replace").strip().splitlines()
        raise GitError(lines[0].removeprefix("fatal: ").removeprefix("error: ") if lines else "git gave no reason")
    return os.fsdecode(said.stdout)
