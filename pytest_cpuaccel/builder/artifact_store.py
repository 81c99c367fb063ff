"""What exports left on disk: a folder for each artifact, checked before use and bounded in size."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from filelock import ReadWriteLock, Timeout

MANIFEST = "manifest.json"
EXAMPLE = "cpuaccel-example.pt"
"""Files in an artifact's folder that are the store's own, as is ``MARKER``."""

MARKER = ".cpuaccel-artifact"
"""The first file of an artifact's folder, which holds the folder's name: such folders alone are ever removed."""

Stamps = Mapping[str, tuple[int, int]]

_PARTIAL = ".partial"
_MOST_VARIANTS = 8
"""Artifacts kept under one key, of models that nothing but their answers tells apart."""


class _NoLockError(Exception):
    """An artifact can't be locked; the text tells the user why, and what comes of it."""


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
    """What an artifact depends on, and the SHA-256 of each of its files by relative path.

    ``stamps`` have the size in bytes and the time of the last change in ns that each file had when it was digested.
    """

    key: Mapping[str, object]
    files: Mapping[str, str]
    stamps: Stamps


@dataclass(frozen=True)
class ArtifactStore:
    """A cache folder of artifacts, shared by any number of processes.

    An artifact is whole when its manifest is there and every file has the SHA-256 that it says; anything else is
    exported again. Files are read only where one has another size or time of change than when they were digested last;
    with ``verifies`` they are once in the store's life, whatever those say. Several artifacts may have one key; which
    of them is meant is proved. A lock for each key is shared by those that read, and held by one that writes; it ends
    with the process. Nobody waits for it for longer than ``wait_s``; ``busy(text)`` is a context that shows what takes
    long. The least recently used artifacts go when ``limit_bytes`` is passed. What the store didn't write, what was
    moved and links it leaves alone.
    """

    root: Path
    limit_bytes: int
    wait_s: float = 600
    busy: Callable[[str], contextlib.AbstractContextManager[None]] = lambda _: contextlib.nullcontext()
    verifies: bool = False
    _used: set[Path] = field(default_factory=set)
    _digested: dict[Path, Stamps] = field(default_factory=dict)

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
                folder = self._held(key, export, say, proof, held)
            except _NoLockError as refusal:
                yield held.enter_context(self._without_writing(key, export, str(refusal), say, proof))
                return
            os.utime(folder / MANIFEST)
            self._used.add(folder)
            yield folder
        self._evict(keep=folder)

    def _held(
        self,
        key: ArtifactKey,
        export: Callable[[Path], None],
        say: Callable[[str], None],
        proof: Proof | None,
        held: contextlib.ExitStack,
    ) -> Path:
        """The folder of an artifact, exported now unless it was before; nobody removes it until ``held`` ends."""
        written: Path | None = None
        while True:
            with contextlib.ExitStack() as reading:
                self._acquire(key, "read", reading)
                is_there = written is not None and self.fault_of(written) is None
                if folder := written if is_there else self._found(key, proof):
                    held.enter_context(reading.pop_all())
                    return folder
            with contextlib.ExitStack() as writing:
                self._acquire(key, "write", writing)
                if self._found(key, proof) is None:  # else another process was faster
                    written = self._place_for(key, say)
                    self._write(written, key, export, proof)

    def _acquire(self, key: ArtifactKey, mode: Literal["read", "write"], held: contextlib.ExitStack) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = _lock(self.root / f"{key.folder_name}.lock")
            hold = lock.read_lock if mode == "read" else lock.write_lock
            try:
                held.enter_context(hold(timeout=0))
            except Timeout:
                with self.busy(f"waiting for another session's export of {key.name}"):
                    held.enter_context(hold(timeout=self.wait_s))
        except Timeout as busy:
            raise _NoLockError(
                f"another session has been exporting {key.name} for more than {self.wait_s:g} s (--cpu-wait); it was "
                "exported once more, for this session only"
            ) from busy
        except OSError as refusal:
            raise _NoLockError(
                f"cache folder {self.root} can't be written ({refusal.strerror}); artifacts are kept for this session "
                "only: choose another folder with --cpu-cache-dir"
            ) from refusal

    def fault_of(self, folder: Path) -> str | None:
        """Return what is wrong with an artifact, in this store or elsewhere; None when it is whole."""
        try:
            return self._fault_of(folder)
        except FileNotFoundError:  # it never was whole, or another process removes it now
            return "is incomplete"

    def _fault_of(self, folder: Path) -> str | None:
        try:
            manifest = manifest_of(folder)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return "has an unreadable manifest"
        stamps = _stamps(folder)
        trusted = self._digested.get(folder, {} if self.verifies else manifest.stamps)
        if stamps == trusted and manifest.files.keys() == stamps.keys():
            return None
        if _digests(folder) != manifest.files:
            return "was altered"
        self._digested[folder] = stamps
        if folder.parent == self.root and stamps != manifest.stamps:
            with contextlib.suppress(OSError):  # a cache that is read-only
                _write_manifest(folder, replace(manifest, stamps=stamps))
        return None

    def discard(self, folder: Path) -> None:
        """Remove an artifact that turned out to be wrong; one that lies elsewhere stays."""
        if folder.parent == self.root:
            _remove(folder)

    def _variants(self, key: ArtifactKey) -> list[Path]:
        """The folders under a key, the latest used first."""
        named = (path for path in self.root.glob(f"{key.folder_name}.*") if path.suffix[1:].isdecimal())
        folders = (path for path in named if _is_own(path))
        return sorted(folders, key=_last_use, reverse=True)

    def _found(self, key: ArtifactKey, proof: Proof | None) -> Path | None:
        whole = (folder for folder in self._variants(key) if self.fault_of(folder) is None)
        return next((folder for folder in whole if proof is None or proof.is_that_of(folder)), None)

    def _place_for(self, key: ArtifactKey, say: Callable[[str], None]) -> Path:
        """Where a new artifact goes: over one that is unusable, else beside those of models that answer otherwise."""
        variants = self._variants(key)
        for folder in variants:
            if fault := self.fault_of(folder):
                say(f"cache entry {folder} {fault}; exported again")
                return folder
        if stale := [folder for folder in variants if folder not in self._used]:
            say(f"cache entry {stale[0]} answers otherwise than the model does now; exported again")
        if len(variants) >= _MOST_VARIANTS:
            return variants[-1]
        places = (self.root / f"{key.folder_name}.{number}" for number in itertools.count(1))
        return next(place for place in places if not os.path.lexists(place))

    @contextlib.contextmanager
    def _without_writing(
        self,
        key: ArtifactKey,
        export: Callable[[Path], None],
        refusal: str,
        say: Callable[[str], None],
        proof: Proof | None,
    ) -> Iterator[Path]:
        if folder := self._found(key, proof):
            yield folder
            return
        say(refusal)
        with tempfile.TemporaryDirectory(prefix="cpuaccel-") as temporary:
            _export(Path(temporary), key, export, proof)
            yield Path(temporary)

    def _write(self, folder: Path, key: ArtifactKey, export: Callable[[Path], None], proof: Proof | None) -> None:
        partial = folder.with_name(f"{folder.name}{_PARTIAL}")
        _remove(partial)
        partial.mkdir()
        try:
            (partial / MARKER).write_text(folder.name, encoding="utf-8")
            whole = partial / folder.name
            whole.mkdir()
            _export(whole, key, export, proof)
            (whole / MARKER).write_text(folder.name, encoding="utf-8")
            _remove(folder)
            whole.rename(folder)
        finally:
            _remove(partial)

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
        passing = shutil.ignore_patterns(f"{MANIFEST}.*")  # another process writes one now
        shutil.copytree(folder, f"{scratch}/{copy.name}", copy_function=_link, ignore=passing)
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
    return (path for path in folder.rglob("*") if path.is_file() and not _is_the_stores(path.name))


def _is_the_stores(name: str) -> bool:
    return name in (MANIFEST, EXAMPLE, MARKER) or name.startswith(f"{MANIFEST}.")


def manifest_of(folder: Path) -> Manifest:
    """Return the manifest of a whole artifact."""
    found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    stamps = {name: tuple(stamp) for name, stamp in found.get("stamps", {}).items()}
    return Manifest(dict(found["key"]), dict(found["files"]), stamps)


def _export(folder: Path, key: ArtifactKey, export: Callable[[Path], None], proof: Proof | None) -> None:
    export(folder)
    if proof is not None:
        proof.write(folder)
    _write_manifest(folder, Manifest(key.facts, _digests(folder), _stamps(folder)))


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    """It appears whole, and in place of one that other folders may share."""
    facts = {"key": dict(manifest.key), "files": dict(manifest.files), "stamps": dict(manifest.stamps)}
    whole = folder / f"{MANIFEST}.{os.getpid()}"
    whole.write_text(json.dumps(facts, indent=1, default=str), encoding="utf-8")
    whole.replace(folder / MANIFEST)


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
    """Tell whether a path is a folder that a store made under this name, and not one that somebody else keeps there."""
    marker = path / MARKER
    if path.is_symlink() or marker.is_symlink() or not marker.is_file():
        return False
    try:
        return marker.read_text(encoding="utf-8", errors="replace") == path.name.removesuffix(_PARTIAL)
    except OSError:  # another process removes it now
        return False


def _remove(folder: Path) -> None:
    """Remove a folder if a store made it, or a killed process that had only begun to."""
    if _is_own(folder):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.name.endswith(_PARTIAL):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove_unused(folder: Path) -> bool:
    """Remove an artifact unless a process is using it; tell whether it went."""
    try:
        with _lock(folder.with_name(f"{folder.name.partition('.')[0]}.lock")).write_lock(timeout=0):
            _remove(folder)
    except Timeout:
        return False
    return True


def _lock(path: Path) -> ReadWriteLock:
    """Of its own, so that it holds within a process too: a variant is not removed while its own base is exported."""
    return ReadWriteLock(path, is_singleton=False)


def _digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _digest(path) for path in sorted(files_of(folder))}


def _stamps(folder: Path) -> Stamps:
    found = ((path.relative_to(folder).as_posix(), path.stat()) for path in sorted(files_of(folder)))
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _size(folder: Path) -> int:
    """Bytes in a folder, so far as it is still there: another process may be removing it."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += Path(parent, name).lstat().st_size
    return size
