"""What exports left on disk: a folder for each artifact, checked before use and bounded in size."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

MANIFEST = "manifest.json"
EXAMPLE = "cpuaccel-example.pt"
"""Files in an artifact's folder that are the store's own."""

_PARTIAL = ".partial"
_NAME = re.compile(rf".+-[0-9a-f]{{20}}\.\d+(?:{re.escape(_PARTIAL)})?")
_MOST_VARIANTS = 8
"""Artifacts kept under one key, of models that nothing but their answers tells apart."""


class Proof(Protocol):
    """Shows that an artifact is that of the model at hand, which its key alone can't."""

    def write(self, folder: Path) -> None:
        """Leave in the folder of a new artifact what it will be recognised by."""

    def is_that_of(self, folder: Path) -> bool:
        """Tell whether the artifact in a folder is that of the model at hand."""


@dataclass(frozen=True)
class ArtifactKey:
    """``name`` is for people; ``facts`` are what the artifact is known to depend on."""

    name: str
    facts: Mapping[str, object]

    @property
    def folder_name(self) -> str:
        """Return the folder's name: the readable name with a digest of the facts."""
        text = json.dumps(self.facts, sort_keys=True, default=str)
        return f"{self.name.replace('.', '_')}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


@dataclass(frozen=True)
class Manifest:
    """What an artifact depends on, and the SHA-256 of each of its files by relative path."""

    key: Mapping[str, object]
    files: Mapping[str, str]


@dataclass(frozen=True)
class ArtifactStore:
    """A cache folder of artifacts, shared by any number of processes.

    An artifact is complete when its manifest is there and every file has the size and SHA-256 that the manifest
    says; anything else is exported again. Several artifacts may have one key; which of them is meant is proved. A
    lock file for each key keeps writers apart; the operating system frees it when a process dies. The least recently
    used artifacts go when ``limit_bytes`` is passed.
    """

    root: Path
    limit_bytes: int
    _used: set[Path] = field(default_factory=set)

    @contextlib.contextmanager
    def artifact(
        self, key: ArtifactKey, export: Callable[[Path], None], say: Callable[[str], None], proof: Proof | None = None
    ) -> Iterator[Path]:
        """Yield the folder of an artifact, exported now unless it was before; it stays while in this context.

        ``say`` gets a line when an entry was unusable or the cache can't be written; then the artifact lives in
        a temporary folder until the context ends. Without a ``proof`` the key decides alone.
        """
        with contextlib.ExitStack() as held:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                held.enter_context(FileLock(self.root / f"{key.folder_name}.lock"))
            except OSError as refusal:
                yield held.enter_context(self._without_writing(key, export, refusal, say, proof))
                return
            folder = self._found(key, proof)
            if folder is None:
                folder = self._place_for(key, say)
                self._write(folder, key, export, proof)
            os.utime(folder / MANIFEST)
            self._used.add(folder)
            yield folder
        self._evict(keep=folder)

    def discard(self, folder: Path) -> None:
        """Remove an artifact that turned out to be wrong; one that lies elsewhere stays."""
        if folder.parent == self.root and _is_own(folder):
            shutil.rmtree(folder, ignore_errors=True)

    def _variants(self, key: ArtifactKey) -> list[Path]:
        """The folders under a key, the latest used first."""
        folders = (path for path in self.root.glob(f"{key.folder_name}.*") if path.suffix[1:].isdecimal())
        return sorted(folders, key=_last_use, reverse=True)

    def _found(self, key: ArtifactKey, proof: Proof | None) -> Path | None:
        whole = (folder for folder in self._variants(key) if fault_of(folder) is None)
        return next((folder for folder in whole if proof is None or proof.is_that_of(folder)), None)

    def _place_for(self, key: ArtifactKey, say: Callable[[str], None]) -> Path:
        """Where a new artifact goes: over one that is unusable, else beside those of models that answer otherwise."""
        variants = self._variants(key)
        for folder in variants:
            if fault := fault_of(folder):
                say(f"cache entry {folder} {fault}; exported again")
                return folder
        if stale := [folder for folder in variants if folder not in self._used]:
            say(f"cache entry {stale[0]} answers otherwise than the model does now; exported again")
        if len(variants) >= _MOST_VARIANTS:
            return variants[-1]
        taken = {folder.suffix for folder in variants}
        return self.root / next(
            f"{key.folder_name}.{number}" for number in itertools.count(1) if f".{number}" not in taken
        )

    @contextlib.contextmanager
    def _without_writing(
        self,
        key: ArtifactKey,
        export: Callable[[Path], None],
        refusal: OSError,
        say: Callable[[str], None],
        proof: Proof | None,
    ) -> Iterator[Path]:
        if folder := self._found(key, proof):
            yield folder
            return
        say(
            f"cache folder {self.root} can't be written ({refusal.strerror}); artifacts are kept for this session "
            "only: choose another folder with --cpu-cache-dir"
        )
        with tempfile.TemporaryDirectory(prefix="cpuaccel-") as temporary:
            _export(Path(temporary), key, export, proof)
            yield Path(temporary)

    def _write(self, folder: Path, key: ArtifactKey, export: Callable[[Path], None], proof: Proof | None) -> None:
        partial = folder.with_name(f"{folder.name}{_PARTIAL}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            _export(partial, key, export, proof)
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _evict(self, keep: Path) -> None:
        folders = sorted((path for path in self.root.iterdir() if _is_own(path)), key=_last_use)
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
    """Copy what an artifact's export wrote to a folder where it may be altered.

    Modes are not copied: the files of a read-only cache become writable.
    """
    for path in files_of(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def files_of(folder: Path) -> Iterator[Path]:
    """Return what the export wrote to an artifact's folder: every file but those that are the store's own."""
    return (path for path in folder.rglob("*") if path.is_file() and path.name not in (MANIFEST, EXAMPLE))


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


def _export(folder: Path, key: ArtifactKey, export: Callable[[Path], None], proof: Proof | None) -> None:
    export(folder)
    if proof is not None:
        proof.write(folder)
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


def _is_own(path: Path) -> bool:
    """Tell whether a path is a folder that a store made, and not one that somebody else keeps beside them."""
    return path.is_dir() and not path.is_symlink() and _NAME.fullmatch(path.name) is not None


def _remove_unused(folder: Path) -> bool:
    """Remove an artifact unless a process is using it; tell whether it went."""
    try:
        with FileLock(folder.with_name(f"{folder.name.partition('.')[0]}.lock"), timeout=0):
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
