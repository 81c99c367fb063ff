"""A Python interpreter that the user named, or that of this session."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.one_line import one_line

_OLDEST = (3, 10)
_OPTION = "--cpu-against-env"
_ANSWER_S = 60.0
_WITHOUT_CURRENT_FOLDER = "import sys; sys.path[:] = [path for path in sys.path if path]\n"
_FOREIGN = {"PYTHONPATH": "", "PYTHONHOME": ""}
"""Variables of this process that say nothing about another interpreter."""

_ABOUT = """
import json, os, site, sys
own = site.getsitepackages() + ([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])
folders = [path for path in own if os.path.isdir(path)]
print(json.dumps({"version": list(sys.version_info[:3]), "base": os.path.realpath(sys.executable), "folders": folders}))
"""


@dataclass(frozen=True)
class Interpreter:
    """``base`` is the program that ``python`` leads to. ``package_folders`` are those with installed packages."""

    python: Path
    version: tuple[int, ...]
    base: Path
    package_folders: tuple[Path, ...]


def interpreter_at(given: str, folder: Path) -> Interpreter:
    """Return the interpreter that a user named: a virtual environment's folder or a program, relative to a folder.

    Raises:
        UsageError: there is none, it can't be run, or it is older than the plugin can use.
    """
    place = Path(os.path.abspath(folder / Path(given).expanduser()))  # noqa: PTH100 (a link is what makes a venv)
    if not place.exists():
        raise UsageError(f"{_OPTION}={given}: there is no {place}; name a virtual environment's folder or a Python")
    python = place
    if place.is_dir():
        python = place / "bin" / "python"
        if not python.exists():
            raise UsageError(f"{_OPTION}={given}: {place} is no virtual environment: it has no bin/python")
    try:
        found = interpreter(python, _FOREIGN)
    except UsageError as reason:
        raise UsageError(f"{_OPTION}={given}: {reason}") from None
    if found.version < _OLDEST:
        is_, needed = (".".join(map(str, version)) for version in (found.version, _OLDEST))
        raise UsageError(f"{_OPTION}={given}: this is Python {is_}, and {needed} or newer is needed")
    return found


def interpreter(python: Path, variables: Mapping[str, str]) -> Interpreter:
    """Return what an interpreter says of itself; ``variables`` are added to this process's.

    Raises:
        UsageError: it can't be run, or is no Python 3.
    """
    said = ask(python, _ABOUT, variables)
    version = tuple(int(number) for number in said["version"])
    return Interpreter(python, version, Path(said["base"]), tuple(map(Path, said["folders"])))


def ask(python: Path, program: str, variables: Mapping[str, str], folder: Path | None = None) -> Any:
    """Return the value that a short program prints as JSON in its last line, run by an interpreter in a folder.

    ``variables`` are added to this process's. Nothing is imported from the folder.

    Raises:
        UsageError: the interpreter can't be run, the program fails, or what it prints is no JSON.
    """
    command = [str(python), "-c", _WITHOUT_CURRENT_FOLDER + program]
    environment = {**os.environ, **variables}
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=_ANSWER_S, check=False, env=environment, cwd=folder
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"{python} gives no answer within {_ANSWER_S:g} s") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{python} can't be run: {error}") from None
    try:
        return json.loads(said.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (said.stderr.strip() or said.stdout.strip() or f"exit code {said.returncode}").splitlines()[-1]
        raise UsageError(one_line(f"{python} is no Python that works here: {last}")) from None
