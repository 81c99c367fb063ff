"""The disk store by itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import ReadWriteLock

from pytest_cpuaccel.builder import artifact as artifacts
from pytest_cpuaccel.builder.artifact import MANIFEST, MARKER, ArtifactKey
from pytest_cpuaccel.builder.artifact_store import ArtifactStore


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


def test_what_another_process_writes_and_removes_meanwhile_is_no_matter(tmp_path: Path) -> None:
    coming_and_going = tmp_path / f"{key('other').folder_name}.1.partial"
    used = threading.Event()

    def write_and_remove() -> None:
        while not used.is_set():
            coming_and_going.mkdir()
            (coming_and_going / MARKER).write_text(coming_and_going.stem)
            (coming_and_going / "whole").mkdir()
            shutil.rmtree(coming_and_going)

    other = threading.Thread(target=write_and_remove)
    other.start()
    try:
        store = ArtifactStore(tmp_path, 10**6)
        for _ in range(300):
            use(store, "a")
    finally:
        used.set()
        other.join()


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


def alter(path: Path, keep_stamp: bool) -> None:
    """Write another byte into a file, with the size and, if asked, the time of change that it had."""
    before = path.stat()
    path.write_bytes(b"\1" + path.read_bytes()[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + (0 if keep_stamp else 1)))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that were digested."""
    found: list[str] = []
    digest = artifacts.file_digest
    monkeypatch.setattr(artifacts, "file_digest", lambda path: found.append(path.name) or digest(path))
    return found


def test_what_has_the_size_and_time_that_it_was_written_with_is_not_read(tmp_path: Path, read: list[str]) -> None:
    use(ArtifactStore(tmp_path, 10**6), "a")
    assert read == ["weights"]
    use(ArtifactStore(tmp_path, 10**6), "a")
    assert read == ["weights"]


def test_what_was_altered_to_the_same_size_is_exported_again(tmp_path: Path) -> None:
    folder, _ = use(ArtifactStore(tmp_path, 10**6), "a")
    alter(folder / "weights", keep_stamp=False)
    export = Exports()
    _, notes = use(ArtifactStore(tmp_path, 10**6), "a", export)
    assert (notes, export.count) == ([f"cache entry {folder} was altered; exported again"], 1)


def test_what_shows_no_trace_of_its_altering_is_found_by_verifying(tmp_path: Path) -> None:
    folder, _ = use(ArtifactStore(tmp_path, 10**6), "a")
    alter(folder / "weights", keep_stamp=True)
    _, notes = use(ArtifactStore(tmp_path, 10**6, verifies=True), "a")
    assert notes == [f"cache entry {folder} was altered; exported again"]


def test_verifying_reads_once_a_session(tmp_path: Path, read: list[str]) -> None:
    use(ArtifactStore(tmp_path, 10**6), "a")
    store = ArtifactStore(tmp_path, 10**6, verifies=True)
    use(store, "a")
    use(store, "a")
    assert read == ["weights"] * 2


def test_a_cache_that_was_copied_is_read_once_and_then_believed(tmp_path: Path, read: list[str]) -> None:
    folder, _ = use(ArtifactStore(tmp_path, 10**6), "a")
    os.utime(folder / "weights", ns=(1, 1))
    for _ in range(3):
        assert use(ArtifactStore(tmp_path, 10**6), "a") == (folder, [])
    assert read == ["weights"] * 2
    assert sorted(path.name for path in folder.iterdir()) == [MARKER, MANIFEST, "weights"]


def test_an_artifact_elsewhere_is_read_once_a_session_and_left_as_it_is(tmp_path: Path, read: list[str]) -> None:
    folder, _ = use(ArtifactStore(tmp_path / "cache", 10**6), "a")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)
    manifest = (copy / MANIFEST).read_bytes()
    store = ArtifactStore(tmp_path / "cache", 10**6)
    assert [store.fault_of(copy) for _ in range(3)] == [None] * 3
    assert read == ["weights"] * 2
    assert (copy / MANIFEST).read_bytes() == manifest


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

    counted: list[tuple[int, float]] = []

    def waited(pid: int, seconds: float) -> None:
        counted.append((pid, seconds))

    with ReadWriteLock(tmp_path / f"{key('a').folder_name}.lock").write_lock():
        folder, notes = use(ArtifactStore(tmp_path, 10**6, wait_s=0.05, busy=busy, waited=waited), "a")
    assert waits == ["waiting for a process that can't be seen from here, which exports model"]  # it is this one
    ((pid, seconds),) = counted
    assert pid == 0
    assert seconds >= 0.05
    (note,) = notes
    assert note.startswith("another session has been exporting model for more than 0.05 s (--cpu-wait); it was ")
    assert not folder.exists()
