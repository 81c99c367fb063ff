"""A checkout of a revision: its files, and not a trace in the user's tree and repository."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.environments.own_folder import begin
from pytest_cpuaccel.environments.revision import checkout_of, revision_of
from pytest_cpuaccel.environments.wanted import Wanted, environment_for

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

Git = Callable[..., str]


@pytest.fixture
def git(monkeypatch: pytest.MonkeyPatch) -> Git:
    """Runs git in a folder with no configuration of the user's."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")

    def run(folder: Path, *arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always")
        command = ["git", *identity, "-C", str(folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run


@pytest.fixture
def tree(tmp_path: Path, git: Git) -> Path:
    """A repository whose revision ``old`` says so; today's file has a change that isn't committed."""
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    git(tree, "init", "--quiet", "--initial-branch=main")
    (tree / "sub" / "code.py").write_text("old")
    (tree / "link").symlink_to("sub/code.py")
    commit(git, tree, "old")
    git(tree, "tag", "old")
    (tree / "sub" / "code.py").write_text("new")
    (tree / "added").mkdir()
    (tree / "added" / "more.py").touch()
    commit(git, tree, "new")
    (tree / "sub" / "code.py").write_text("today")
    (tree / "untracked").touch()
    return tree


def commit(git: Git, tree: Path, text: str) -> None:
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", text)


def files(folder: Path) -> dict[str, tuple[int, int]]:
    found = ((path, path.lstat()) for path in folder.rglob("*"))
    return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in found}


def refusal_of(given: str, folder: Path) -> str:
    with pytest.raises(UsageError) as refusal:
        revision_of(given, folder)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_checkout_has_the_files_of_its_revision_and_goes_afterwards(tree: Path, tmp_path: Path) -> None:
    with checkout_of(revision_of("old", tree), tmp_path / "cache", nullcontext) as checkout:
        assert (checkout / "sub" / "code.py").read_text() == "old"
        assert (checkout / "link").read_text() == "old"
        assert not (checkout / "added").exists()
        assert not (checkout / "untracked").exists()
    assert not checkout.exists()


def test_the_users_tree_and_repository_stay_as_they_are(tree: Path, tmp_path: Path, git: Git) -> None:
    before = files(tree)
    with checkout_of(revision_of("old", tree / "sub"), tmp_path / "cache", nullcontext):
        assert files(tree) == before
        assert len(git(tree, "worktree", "list").splitlines()) == 1
    assert files(tree) == before


def test_the_place_is_the_same_again_and_another_one_beside_a_session_that_runs(tree: Path, tmp_path: Path) -> None:
    old, new = revision_of("old", tree), revision_of("main", tree)
    with checkout_of(old, tmp_path, nullcontext) as first, checkout_of(new, tmp_path, nullcontext) as second:
        assert (second / "sub" / "code.py").read_text() == "new"
        assert (first / "sub" / "code.py").read_text() == "old"
        (first / "sub" / "code.py").write_text("changed by a test")
    with checkout_of(old, tmp_path, nullcontext) as again:
        assert again == first
        assert (again / "sub" / "code.py").read_text() == "old"


def test_what_killed_sessions_left_goes(tree: Path, tmp_path: Path) -> None:
    for place in ("1", "2"):
        begin(tmp_path / "revisions-1" / place)
        (tmp_path / "revisions-1" / place / "left").mkdir()
    with checkout_of(revision_of("old", tree), tmp_path, nullcontext) as checkout:
        assert [path.name for path in checkout.parent.parent.iterdir() if path.is_dir()] == ["1"]
        assert not (checkout.parent / "left").exists()


def test_a_revision_in_a_sentence_has_its_commit(tree: Path, git: Git) -> None:
    full = git(tree, "rev-parse", "old").strip()
    assert revision_of("old", tree).label == f"old ({full[:7]})"
    assert revision_of(full, tree).label == full[:7]


def test_what_is_no_revision_is_refused_in_one_line(tree: Path, tmp_path: Path, git: Git) -> None:
    assert "no such revision in" in refusal_of("gone", tree)
    assert "this is no revision" in refusal_of("--all", tree)
    assert "is in no git repository" in refusal_of("main", tmp_path)
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{tree}", str(tmp_path / "shallow"))
    assert "shallow clone: git fetch --unshallow" in refusal_of("main~1", tmp_path / "shallow")
    git(tmp_path / "shallow", "switch", "--quiet", "--detach")
    git(tmp_path / "shallow", "branch", "-D", "main")
    assert "did you mean origin/main?" in refusal_of("main", tmp_path / "shallow")


def test_without_git_there_is_one_line(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tree))
    assert refusal_of("old", tree) == "--cpu-against-rev needs git, which is not installed"


def test_a_git_hooks_variables_do_not_lead_elsewhere(
    tree: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "--quiet", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / "index"))
    assert revision_of("old", tree).tree == tree.resolve()


def test_the_session_is_started_in_the_folder_that_stands_for_the_current_one(tree: Path, tmp_path: Path) -> None:
    with environment_for(Wanted(revision="old"), tree / "sub", tmp_path, nullcontext) as environment:
        assert (environment.folder / "code.py").read_text() == "old"
        assert environment.name.startswith("old (")
        assert environment.moved == ((tree.resolve(), environment.folder.parent),)
    missing = pytest.raises(UsageError, match="this revision has no folder added")
    with missing, environment_for(Wanted(revision="old"), tree / "added", tmp_path, nullcontext):
        pass


@pytest.fixture
def with_submodule(tree: Path, tmp_path: Path, git: Git) -> Path:
    """A tree with a submodule ``lib`` that is one commit ahead of what the revision ``with-lib`` has."""
    lib = tmp_path / "lib"
    git(tmp_path, "init", "--quiet", "lib")
    (lib / "lib.py").write_text("old")
    commit(git, lib, "old")
    git(tree, "submodule", "--quiet", "add", str(lib), "lib")
    commit(git, tree, "with lib")
    git(tree, "tag", "with-lib")
    (tree / "lib" / "lib.py").write_text("new")
    commit(git, tree / "lib", "new")
    commit(git, tree, "newer lib")
    return tree


def test_a_submodules_files_are_those_of_the_revision(with_submodule: Path, tmp_path: Path) -> None:
    before = files(with_submodule)
    with checkout_of(revision_of("with-lib", with_submodule), tmp_path / "cache", nullcontext) as checkout:
        assert (checkout / "lib" / "lib.py").read_text() == "old"
    assert files(with_submodule) == before


def test_a_submodule_that_can_not_be_had_is_named(with_submodule: Path, tmp_path: Path) -> None:
    revision = revision_of("with-lib", with_submodule)
    (with_submodule / "lib" / "lib.py").write_text("today")
    dirty = pytest.raises(UsageError, match="submodule lib has changes that are not committed")
    with dirty, checkout_of(revision, tmp_path / "cache", nullcontext):
        pass
    shutil.rmtree(with_submodule / "lib")
    gone = pytest.raises(UsageError, match="submodule lib is not in today's tree")
    with gone, checkout_of(revision, tmp_path / "cache", nullcontext):
        pass
