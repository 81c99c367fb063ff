"""This environment's pip, which fills other environments."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.one_line import one_line

_LEADS_ELSEWHERE = ("target", "prefix", "root", "user")
"""Settings of pip with which it installs to another place than the environment that it is told."""

_NOT_MEANT = {
    *(f"PIP_{name.upper()}" for name in _LEADS_ELSEWHERE),
    *("PIP_PYTHON", "PIP_DRY_RUN", "PIP_REPORT", "PIP_REQUIREMENT", "PIP_EDITABLE", "PIP_QUIET", "PIP_VERBOSE"),
    *("PYTHONPATH", "PYTHONHOME"),
}
"""Variables that a command of ours must not get."""

_MOST_VERSIONS = 5


@dataclass(frozen=True)
class PipAnswer:
    """Whether pip did what it was told, and what it printed."""

    is_good: bool
    text: str

    @property
    def reason(self) -> str:
        """Return on one line why pip did not do it, in its own words."""
        lines = self.text.splitlines()
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        missing = [line for line in errors if line.startswith("Could not find a version")]
        for error in errors:
            if error.startswith("Cannot install"):
                return one_line(f"{error.rstrip('.')}: {'; '.join(_conflict(lines))}")
            if error.startswith("No matching distribution found"):
                return one_line(f"{error}{_versions(missing[0]) if missing else ''}")
        return one_line((errors or [line for line in lines if line.strip()] or ["no reason given"])[-1])

    @property
    def findings(self) -> tuple[str, ...]:
        """Return what ``pip check`` found, a sentence each; none where nothing is wrong."""
        return () if self.is_good else tuple(line for line in self.text.splitlines() if " " in line.strip())


def run_pip(python: Path | None, arguments: Sequence[str], folder: Path) -> PipAnswer:
    """Run this environment's pip in a folder, for another interpreter; for this one where it is None.

    Raises:
        UsageError: this environment has no pip.
    """
    pip = importlib.util.find_spec("pip")
    if pip is None or pip.origin is None:
        raise UsageError(
            "--cpu-against-packages needs pip in this environment, and it has none: python -m ensurepip, or for uv: "
            "uv pip install pip"
        )
    command = [sys.executable, "-I", str(Path(pip.origin).parent), *(("--python", str(python)) if python else ())]
    options = ("--no-input", "--disable-pip-version-check", "--no-color")
    said = subprocess.run(
        [*command, *options, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        env={name: value for name, value in os.environ.items() if name not in _NOT_MEANT},
        cwd=folder,
    )
    return PipAnswer(said.returncode == 0, said.stdout)


def refuse_other_places(folder: Path) -> None:
    """Refuse a configuration of pip with which it would install to a place of the user's; pip is run in a folder.

    Raises:
        UsageError: there is one.
    """
    text = run_pip(None, ("config", "list"), folder).text
    pattern = rf"^(?:global|install)\.(?:{'|'.join(_LEADS_ELSEWHERE)})=.*$"
    if found := re.search(pattern, text, re.MULTILINE):
        raise UsageError(
            f"--cpu-against-packages: pip is configured with {found[0]} and would install there: "
            f"pip config unset {found[0].partition('=')[0]}"
        )


def bring_configuration(environment: Path) -> None:
    """Give another virtual environment the configuration that pip has in this one, such as where it looks."""
    own = Path(sys.prefix, "pip.conf")
    if own.is_file():
        shutil.copyfile(own, environment / own.name)


def _conflict(lines: list[str]) -> list[str]:
    """What pip states as the cause of a conflict: the lines up to an empty one."""
    start = next((number for number, line in enumerate(lines) if line.startswith("The conflict is caused by")), None)
    below = [] if start is None else [line.strip() for line in lines[start + 1 :]]
    return below[: below.index("")] if "" in below else below


def _versions(line: str) -> str:
    """The last of the releases that pip lists as found."""
    found = re.search(r"\(from versions: (.*)\)", line)
    if found is None or found[1] == "none":
        return " (it finds no release at all)"
    versions = found[1].split(", ")
    more = "..., " if len(versions) > _MOST_VERSIONS else ""
    return f" (it finds {more}{', '.join(versions[-_MOST_VERSIONS:])})"
