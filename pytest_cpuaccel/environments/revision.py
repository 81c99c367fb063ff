"""A revision of the user's code, and a checkout of it that leaves the user's tree and repository alone."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.environments.git import GitError, git
from pytest_cpuaccel.environments.place import place_in
from pytest_cpuaccel.environments.shelf import Busy

_OPTION = "--cpu-against-rev"
_FOLDER = "revisions-1"
_SHORT = 7
_SUBMODULE = "160000"


@dataclass(frozen=True)
class Revision:
    """``name`` is as the user gave it; ``tree`` is the top folder of the user's tree, without links."""

    name: str
    commit: str
    tree: Path

    @property
    def label(self) -> str:
        """Return the name with the commit, unless it is that."""
        short = self.commit[:_SHORT]
        is_commit = len(self.name) >= _SHORT and self.commit.startswith(self.name)
        return short if is_commit else f"{self.name} ({short})"


def revision_of(given: str, folder: Path) -> Revision:
    """Return the revision of the repository around a folder that a user named.

    Raises:
        UsageError: there is no git, no repository or no such revision.
    """
    if given.startswith("-") or not given.strip():
        raise UsageError(f"{_OPTION}={given}: this is no revision; name a branch, a tag or a commit, such as main")
    try:
        tree = Path(git(folder, "rev-parse", "--show-toplevel").removesuffix("\n"))
    except GitError as reason:
        raise UsageError(f"{_OPTION}={given}: {folder} is in no git repository with files ({reason})") from None
    commit = _commit(tree, given)
    if commit is None:
        raise UsageError(f"{_OPTION}={given}: {_why_not_there(tree, given)}")
    return Revision(given, commit, Path(os.path.realpath(tree)))


@contextlib.contextmanager
def checkout_of(revision: Revision, cache: Path, busy: Busy) -> Iterator[Path]:
    """Yield a fresh folder with the files of a revision, and those of its submodules; it goes with this context.

    It has the same path in the next session, where no other uses it. What a killed session left goes too.

    Raises:
        UsageError: git can't write it, or a submodule can't be had.
    """
    with contextlib.ExitStack() as held:
        folder = place_in(cache / _FOLDER, held)
        tree = folder / revision.commit[: 2 * _SHORT]
        with busy(f"checking out {revision.label}"):
            _check_out(revision, revision.tree, revision.commit, tree)
        yield tree


def _check_out(revision: Revision, repository: Path, commit: str, target: Path) -> None:
    """Write the files of a commit to a new folder, by an index of its own."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cpuaccel-index-") as scratch:
        index = Path(scratch, "index")
        try:
            git(repository, "read-tree", commit, index=index)
            git(repository, "checkout-index", "--all", "--force", f"--prefix={target}/", index=index)
            entries = git(repository, "ls-files", "--stage", "-z", index=index).split("\0")
        except GitError as reason:
            raise UsageError(f"{_OPTION}={revision.name}: git can't check it out: {reason}") from None
    for entry in entries:
        about, _, path = entry.partition("\t")
        if about.startswith(_SUBMODULE):
            _check_out_submodule(revision, repository / path, about.split()[1], target / path)


def _check_out_submodule(revision: Revision, submodule: Path, commit: str, target: Path) -> None:
    """Write a submodule's files; one that isn't there today either stays an empty folder."""
    shown = f"{_OPTION}={revision.name}: submodule {submodule.relative_to(revision.tree)}"
    if not (submodule / ".git").exists():
        if submodule.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            return
        raise UsageError(f"{shown} is not in today's tree, so that its files can't be had")
    try:
        if git(submodule, "status", "--porcelain", "--untracked-files=no"):
            raise UsageError(f"{shown} has changes that are not committed; commit or stash them")
    except GitError as reason:
        raise UsageError(f"{shown}: {reason}") from None
    if _commit(submodule, commit) is None:
        raise UsageError(f"{shown} has no commit {commit[:_SHORT]} here: git -C {submodule} fetch")
    _check_out(revision, submodule, commit, target)


def _commit(repository: Path, given: str) -> str | None:
    try:
        return git(repository, "rev-parse", "--verify", "--quiet", f"{given}^{{commit}}").strip()
    except GitError:
        return None


def _why_not_there(tree: Path, given: str) -> str:
    if _commit(tree, f"origin/{given}") is not None:
        return f"there is no such revision here; did you mean origin/{given}?"
    try:
        is_shallow = git(tree, "rev-parse", "--is-shallow-repository").strip() == "true"
    except GitError:
        is_shallow = False
    if is_shallow:
        return "there is no such revision in this shallow clone: git fetch --unshallow, or fetch-depth: 0 in CI"
    return f"there is no such revision in {tree}"
