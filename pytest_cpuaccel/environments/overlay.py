"""Packages laid over an environment: a small virtual environment that also imports from that one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.one_line import one_line
from pytest_cpuaccel.environments.distributions import distributions_of
from pytest_cpuaccel.environments.environment import Environment
from pytest_cpuaccel.environments.interpreter import Interpreter, interpreter
from pytest_cpuaccel.environments.pip import bring_configuration, refuse_other_places, run_pip
from pytest_cpuaccel.environments.shelf import Busy, Shelf

_OPTION = "--cpu-against-packages"
_FOLDER = "overlays-1"
_MOST, _LIMIT_BYTES = 8, 4 << 30
_REPORT = "cpuaccel-pip.json"
_BASE = "cpuaccel-base.pth"
_CUDA = ("nvidia-", "cuda-", "triton", "pytorch-triton")
_SHOWN = 3


@contextlib.contextmanager
def overlay_on(base: Environment, requirements: Sequence[str], cache: Path, busy: Busy) -> Iterator[Environment]:
    """Yield an environment with packages that requirements name, and all others of ``base``, which stays as it is.

    It is kept in the cache, by the base's interpreter, distributions and the requirements. ``requirements`` are as pip
    takes them; paths are absolute. Notes are what ``pip check`` finds wrong with it, but not with the base.

    Raises:
        UsageError: pip can't install them; they bring CUDA; or there is no pip.
    """
    with busy(f"looking for {' '.join(requirements)}"):
        found = interpreter(base.python, base.variables())
        name = _key(found, distributions_of(base), requirements)

    def make(folder: Path) -> tuple[str, ...]:
        return _make(folder, found, requirements, busy)

    shelf = Shelf(cache / _FOLDER, _MOST, _LIMIT_BYTES, busy)
    with shelf.folder(name, make, " ".join(requirements)) as (folder, notes):
        yield replace(base, python=_python(folder), notes=(*base.notes, *notes))


def _key(found: Interpreter, distributions: dict[str, str], requirements: Sequence[str]) -> str:
    about = [
        str(found.base),
        found.version,
        [str(folder) for folder in found.package_folders],
        sorted(distributions.items()),
        [(requirement, _stamp(requirement)) for requirement in requirements],
    ]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:20]


def _stamp(requirement: str) -> tuple[int, int] | None:
    """What tells a local wheel from another under its path."""
    with contextlib.suppress(OSError, ValueError):
        status = Path(requirement).stat()
        return status.st_size, status.st_mtime_ns
    return None


def _make(folder: Path, base: Interpreter, requirements: Sequence[str], busy: Busy) -> tuple[str, ...]:
    """Fill an empty folder, and return the notes."""
    wanted = " ".join(requirements)
    with busy(f"looking for {wanted}"):
        refuse_other_places(folder)
        packages = _lay_over(folder, base)
        _refuse_what_cannot_be_had(folder, requirements)
    with busy(f"installing {wanted} over {base.python}"):
        answer = run_pip(_python(folder), ("install", "--no-compile", "--upgrade", *requirements), folder)
        if not answer.is_good:
            raise UsageError(f"{_OPTION}={wanted}: {answer.reason}")
        _compile(folder, packages)
        found = run_pip(_python(folder), ("check",), folder).findings
        known = run_pip(base.python, ("check",), folder).findings if found else ()
    return tuple(f"pip check: {finding}" for finding in found if finding not in known)


def _lay_over(folder: Path, base: Interpreter) -> Path:
    """Make a virtual environment that imports from its own folder of packages first, which is returned."""
    command = [str(base.python), "-I", "-m", "venv", "--without-pip", str(folder)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    packages = next(folder.glob("lib/*/site-packages"), None)
    if said.returncode or packages is None:
        last = (said.stderr.strip() or said.stdout.strip() or f"exit code {said.returncode}").splitlines()[-1]
        raise UsageError(one_line(f"{_OPTION}: {base.python} can't make a virtual environment: {last}"))
    lines = [f"import site; site.addsitedir({str(path)!r})\n" for path in base.package_folders]
    (packages / _BASE).write_text("".join(lines), encoding="utf-8")
    bring_configuration(folder)
    return packages


def _refuse_what_cannot_be_had(folder: Path, requirements: Sequence[str]) -> None:
    """Ask pip what it would install, before it does."""
    report = folder / _REPORT
    asked = ("install", "--dry-run", "--upgrade", "--report", str(report), *requirements)
    answer = run_pip(_python(folder), asked, folder)
    if not answer.is_good:
        raise UsageError(f"{_OPTION}={' '.join(requirements)}: {answer.reason}")
    entries = json.loads(report.read_text(encoding="utf-8"))["install"]
    coming = sorted(canonicalize_name(entry["metadata"]["name"]) for entry in entries)
    if cuda := [name for name in coming if name.startswith(_CUDA)]:
        more = f" and {len(cuda) - _SHOWN} more" if len(cuda) > _SHOWN else ""
        raise UsageError(
            f"{_OPTION}={' '.join(requirements)} would bring CUDA ({', '.join(cuda[:_SHOWN])}{more}): name a build for "
            "CPUs, such as torch==2.8.0+cpu, and have pip look where such wheels are"
        )


def _compile(folder: Path, packages: Path) -> None:
    """Compile what was installed as pip does, with all CPUs; a file that can't be compiled is no fault."""
    command = [str(_python(folder)), "-I", "-m", "compileall", "-q", "-j", "0", str(packages)]
    subprocess.run(command, capture_output=True, check=False)


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"
