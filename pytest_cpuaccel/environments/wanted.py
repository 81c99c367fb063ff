"""What the user's options say of the other environment, and how it is had."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.environments.environment import Environment, here
from pytest_cpuaccel.environments.interpreter import interpreter_at
from pytest_cpuaccel.environments.overlay import overlay_on
from pytest_cpuaccel.environments.revision import Revision, checkout_of, revision_of
from pytest_cpuaccel.environments.shelf import Busy

_PACKAGES = "--cpu-against-packages"


@dataclass(frozen=True)
class Wanted:
    """A virtual environment or a Python, requirements to lay over it, and a revision of the user's code.

    Each text of ``packages`` may hold several requirements with spaces between them. What isn't given is as in this
    session: its environment, its packages, the code of today.
    """

    env: str | None = None
    packages: tuple[str, ...] = ()
    revision: str | None = None


@contextlib.contextmanager
def environment_for(wanted: Wanted, folder: Path, cache: Path, busy: Busy) -> Iterator[Environment]:
    """Yield the environment that is wanted, for a session in a folder; it stays as it is while in this context.

    The user's environments, tree and repository are not changed. What is made is kept in ``cache``, or goes with the
    context. ``busy(text)`` is a context that shows what takes long.

    Raises:
        UsageError: it can't be had; the text is one line with the reason.
    """
    names: list[str] = []
    found = here(folder)
    requirements = [one for text in wanted.packages for one in requirements_in(text, folder)]
    with contextlib.ExitStack() as held:
        if wanted.env is not None:
            found = replace(found, python=interpreter_at(wanted.env, folder).python)
            names.append(wanted.env)
        revision = None if wanted.revision is None else revision_of(wanted.revision, folder)
        if requirements:
            found = held.enter_context(overlay_on(found, requirements, cache, busy))
            names.extend(_shown(one) for one in requirements)
        if revision is not None:
            checkout = held.enter_context(checkout_of(revision, cache, busy))
            found = replace(found, folder=_in(checkout, revision, folder), moved=((revision.tree, checkout),))
            names.insert(0, revision.name if names else revision.label)
        yield replace(found, name=", ".join(names) or found.name)


def requirements_in(text: str, folder: Path) -> tuple[str, ...]:
    """Return the requirements in a text, with spaces between them; paths of wheels are relative to a folder.

    Raises:
        UsageError: a part is no requirement, address or wheel.
    """
    if (whole := _requirement(text.strip(), folder)) is not None:
        return (whole,)
    found = []
    for part in text.split():
        requirement = _requirement(part, folder)
        if requirement is None:
            raise UsageError(f"{_PACKAGES}={text}: {_fault(part)}; name packages, such as onnxruntime==1.22.1")
        found.append(requirement)
    if not found:
        raise UsageError(f'{_PACKAGES}="": this names no package; write one such as onnxruntime==1.22.1')
    return tuple(found)


def _requirement(text: str, folder: Path) -> str | None:
    """A requirement as pip takes it; None for any other text."""
    if not text or text.startswith("-"):
        return None
    if text.endswith(".whl") and "://" not in text:
        wheel = folder / Path(text).expanduser()
        return str(wheel.resolve()) if wheel.is_file() else None
    try:
        Requirement(text)
    except InvalidRequirement:
        return text if "://" in text and len(text.split()) == 1 else None
    return text


def _fault(part: str) -> str:
    if part.startswith("-"):
        return f"{part} is an option of pip"
    return f"there is no wheel {part}" if part.endswith(".whl") else f"{part} is no requirement"


def _shown(requirement: str) -> str:
    """A requirement in a sentence: of a path or an address, its last part."""
    is_place = Path(requirement).is_absolute() or ("://" in requirement and "@" not in requirement.split("://")[0])
    return requirement.rstrip("/").rpartition("/")[2] if is_place else requirement


def _in(checkout: Path, revision: Revision, folder: Path) -> Path:
    """The folder of a checkout that stands for one of the user's tree."""
    there = checkout / folder.resolve().relative_to(revision.tree)
    if not there.is_dir():
        raise UsageError(f"--cpu-against-rev={revision.name}: this revision has no folder {folder.name}")
    return there
