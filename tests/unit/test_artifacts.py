"""The disk store by itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import ReadWriteLock

from pytest_cpuaccel.build.artifacts import MANIFEST, MARKER, ArtifactKey, ArtifactStore


def key(name: str) -> ArtifactKey:
    return ArtifactKey("model", {"name": name})


class Exports:
    """Writes ``size`` bytes, and counts."""

    def __init__(self, size: int = 100) -> None:
        self.size = size
        self.count = 0

    def __call__(self, folder: Path) -> None:
        self.count += 1
        (folder / "weights").write_bytes(bytes(self.size))


def use(store: ArtifactStore, name: str, export: Exports | None = None) -> tuple[Path, list[str]]:
    notes: list[str] = []
    with store.artifact(key(name), export or Exports(), notes.append) as folder:
        assert (folder / "weights").exists()
    return folder, notes


def test_names_are_readable_and_differ_by_facts() -> None:
    assert key("a").folder_name != key("b").folder_name
    assert key("a").folder_name == ArtifactKey("model", {"name": "a"}).folder_name
    assert key("a").folder_name.startswith("model-")


def test_an_artifact_is_exported_once(tmp_path: Path) -> None:
    store, export = ArtifactStore(tmp_path, 10**6), Exports()
    first, _ = use(store, "a", export)
    second, notes = use(ArtifactStore(tmp_path, 10**6), "a", export)
    assert (first, export.count, notes) == (second, 1, [])


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path, 1200)
    folders = {name: use(store, name, Exports(300))[0] for name in "ab"}
    for age, name in enumerate("ab"):
        os.utime(folders[name] / MANIFEST, (age, age))
    use(store, "a")
    use(store, "c", Exports(300))
    assert folders["a"].exists()
    assert not folders["b"].exists()


def test_an_artifact_that_another_process_uses_stays(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path, 10)
    used, _ = use(store, "used")
    with ReadWriteLock(used.with_suffix(".lock")).read_lock():
        use(store, "other")
        assert used.exists()
    other, _ = use(store, "other")
    assert not used.exists()
    assert other.exists()


def test_what_a_killed_writer_left_goes_too(tmp_path: Path) -> None:
    leftover = tmp_path / f"{key('killed').folder_name}.1.partial"
    leftover.mkdir()
    (leftover / MARKER).write_text(leftover.stem)
    (leftover / "half").write_bytes(bytes(5000))
    use(ArtifactStore(tmp_path, 4000), "other")
    assert not leftover.exists()


def test_what_a_killed_writer_left_is_replaced_by_the_next(tmp_path: Path) -> None:
    leftover = tmp_path / f"{key('a').folder_name}.1.partial"
    leftover.mkdir()
    (leftover / MARKER).write_text(leftover.stem)
    (leftover / "half").touch()
    folder, _ = use(ArtifactStore(tmp_path, 10**6), "a")
    assert sorted(path.name for path in folder.iterdir()) == [MARKER, MANIFEST, "weights"]
    assert not leftover.exists()


def test_without_a_folder_to_write_artifacts_live_as_long_as_they_are_used(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    store, export = ArtifactStore(file / "cache", 10**6), Exports()
    folder, notes = use(store, "a", export)
    assert notes == [
        f"cache folder {file / 'cache'} can't be written (Not a directory); artifacts are kept for this session only: "
        "choose another folder with --cpu-cache-dir"
    ]
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_what_a_read_only_cache_holds_is_used(tmp_path: Path) -> None:
    store, export = ArtifactStore(tmp_path / "cache", 10**6), Exports()
    folder, _ = use(store, "a", export)
    folder.with_suffix(".lock").unlink(missing_ok=True)
    store.root.chmod(0o500)
    try:
        assert use(store, "a", export) == (folder, [])
    finally:
        store.root.chmod(0o700)
    assert export.count == 1


def test_what_was_exported_now_is_not_proved_again(tmp_path: Path) -> None:
    class NoProof:
        def write(self, folder: Path) -> None:
            (folder / "proof").touch()

        def is_that_of(self, folder: Path) -> bool:
            return not folder.exists()

    export = Exports()
    with ArtifactStore(tmp_path, 10**6).artifact(key("a"), export, print, NoProof()) as folder:
        assert (folder / "proof").exists()
    assert export.count == 1


def test_who_waits_in_vain_exports_for_itself(tmp_path: Path) -> None:
    waits: list[str] = []

    @contextlib.contextmanager
    def busy(text: str) -> Iterator[None]:
        waits.append(text)
        yield

    with ReadWriteLock(tmp_path / f"{key('a').folder_name}.lock").write_lock():
        folder, notes = use(ArtifactStore(tmp_path, 10**6, wait_s=0.05, busy=busy), "a")
    assert waits == ["waiting for another session's export of model"]
    (note,) = notes
    assert note.startswith("another session has been exporting model for more than 0.05 s (--cpu-wait); it was ")
    assert not folder.exists()
