"""What exports left on disk: a folder for each artifact, checked before use and bounded in size."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

MANIFEST = "manifest.json"
_PARTIAL = ".partial"


@dataclass(frozen=True)
class ArtifactKey:
    """``name`` is for people; ``facts`` are all that the artifact depends on, and decide its identity."""

    name: str
    facts: Mapping[str, object]

    @property
    def folder_name(self) -> str:
        """Return the folder's name: the readable name with a digest of the facts."""
        text = json.dumps(self.facts, sort_keys=True, default=str)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


@dataclass(frozen=True)
class Manifest:
    """What an artifact depends on, and the SHA-256 of each of its files by relative path."""

    key: Mapping[str, object]
    files: Mapping[str, str]


@dataclass(frozen=True)
class ArtifactStore:
    """A cache folder of artifacts, shared by any number of processes.

    An artifact is complete when its manifest is there and every file has the size and SHA-256 that the manifest
    says; anything else is exported again. A lock file for each artifact keeps writers apart; the operating
    system frees it when a process dies. The least recently used artifacts go when ``limit_bytes`` is passed.
    """

    root: Path
    limit_bytes: int

    @contextlib.contextmanager
    def artifact(self, key: ArtifactKey, export: Callable[[Path], None], say: Callable[[str], None]) -> Iterator[Path]:
        """Yield the folder of an artifact, exported now unless it was before; it stays while in this context.

        ``say`` gets a line when an entry was unusable or the cache can't be written; then the artifact lives in
        a temporary folder until the context ends.
        """
        folder = self.root / key.folder_name
        with contextlib.ExitStack() as held:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                held.enter_context(FileLock(f"{folder}.lock"))
            except OSError as refusal:
                yield held.enter_context(self._without_writing(folder, key, export, refusal, say))
                return
            fault = fault_of(folder)
            if fault:
                if folder.exists():
                    say(f"cache entry {folder} {fault}; exported again")
                self._write(folder, key, export)
            os.utime(folder / MANIFEST)
            yield folder
        self._evict(keep=folder)

    @contextlib.contextmanager
    def _without_writing(
        self,
        folder: Path,
        key: ArtifactKey,
        export: Callable[[Path], None],
        refusal: OSError,
        say: Callable[[str], None],
    ) -> Iterator[Path]:
        if fault_of(folder) is None:
            yield folder
            return
        say(
            f"cache folder {self.root} can't be written ({refusal.strerror}); artifacts are kept for this session "
            "only: choose another folder with --cpu-cache-dir"
        )
        with tempfile.TemporaryDirectory(prefix="cpuaccel-") as temporary:
            _export(Path(temporary), key, export)
            yield Path(temporary)

    def _write(self, folder: Path, key: ArtifactKey, export: Callable[[Path], None]) -> None:
        partial = folder.with_name(f"{folder.name}{_PARTIAL}")
        for leftover in (partial, folder):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir()
        try:
            _export(partial, key, export)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _evict(self, keep: Path) -> None:
        folders = sorted((path for path in self.root.iterdir() if path.is_dir()), key=_last_use)
        sizes = {folder: _size(folder) for folder in folders}
        excess = sum(sizes.values()) - self.limit_bytes
        for folder, size in sizes.items():
            if excess <= 0:
                return
            if folder != keep and _remove_unused(folder):
                excess -= size


def copy_artifact(folder: Path, shelf: Path) -> None:
    """Copy an artifact to a folder of such under its own name, unless it is there; the copy appears whole.

    Files are linked where the file system can, so that a copy takes no room while the cache has the artifact too.
    """
    copy = shelf / folder.name
    if copy.exists():
        return
    shelf.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=shelf) as scratch:
        shutil.copytree(folder, f"{scratch}/{copy.name}", copy_function=_link)
        try:
            Path(scratch, copy.name).rename(copy)
        except OSError:
            if not copy.exists():  # else another process was faster
                raise


def copy_files(source: Path, target: Path) -> None:
    """Copy an artifact's files, but not its manifest, to a folder where they may be altered.

    Modes are not copied: the files of a read-only cache become writable.
    """
    for path in files_of(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def files_of(folder: Path) -> Iterator[Path]:
    """Return what the export wrote to an artifact's folder: every file but the manifest, which is the store's."""
    return (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def manifest_of(folder: Path) -> Manifest:
    """Return the manifest of a whole artifact."""
    found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return Manifest(dict(found["key"]), dict(found["files"]))


def fault_of(folder: Path) -> str | None:
    """Return what is wrong with an artifact; None when it is whole."""
    try:
        expected = manifest_of(folder).files
    except FileNotFoundError:
        return "is incomplete"
    except (OSError, ValueError, KeyError, TypeError):
        return "has an unreadable manifest"
    return None if _digests(folder) == expected else "was altered"


def _export(folder: Path, key: ArtifactKey, export: Callable[[Path], None]) -> None:
    export(folder)
    manifest = {"key": dict(key.facts), "files": _digests(folder)}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, default=str), encoding="utf-8")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _last_use(folder: Path) -> float:
    """When an artifact was used last; 0 for what a killed writer left, and for what another process removes now."""
    try:
        return (folder / MANIFEST).stat().st_mtime
    except OSError:
        return 0


def _remove_unused(folder: Path) -> bool:
    """Remove an artifact unless a process is using it; tell whether it went."""
    try:
        with FileLock(f"{str(folder).removesuffix(_PARTIAL)}.lock", timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        return False
    return True


def _digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _digest(path) for path in sorted(files_of(folder))}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _size(folder: Path) -> int:
    """Bytes in a folder, so far as it is still there."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size if path.is_file() else 0
    return size
