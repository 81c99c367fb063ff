"""The store of artifacts on disk: a folder for each, checked before use, and limited in size."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Literal, Protocol

from filelock import ReadWriteLock, Timeout

from pytest_cpuaccel.builder.artifact import (
    MANIFEST,
    MARKER,
    PARTIAL,
    ArtifactKey,
    Manifest,
    Stamps,
    file_digests,
    file_stamps,
    is_artifact,
    last_use,
    manifest_of,
    write_manifest,
)
from pytest_cpuaccel.core.folder_size import size_of
from pytest_cpuaccel.machine.lock_holder import holder_of
from pytest_cpuaccel.machine.process import described

_MOST_VARIANTS = 8
"""Artifacts kept under one key, of models that only their answers tell apart."""


class _NoLockError(Exception):
    """An artifact can't be locked; the text tells the user the reason and the consequence."""


class Proof(Protocol):
    """Verifies that an artifact is that of the present model; its key alone can't."""

    def write(self, folder: Path) -> None:
        """Leave in the folder of a new artifact what it will be recognised by."""

    def is_that_of(self, folder: Path) -> bool:
        """Tell whether the artifact in a folder is that of the model at hand."""


@dataclass(frozen=True)
class _Wanted:
    """An artifact that is asked for; ``export`` writes it, and ``say`` gets notes about it."""

    key: ArtifactKey
    export: Callable[[Path], None]
    say: Callable[[str], None]
    proof: Proof | None

    def is_in(self, folder: Path) -> bool:
        """Tell whether a whole artifact under the key is the one."""
        return self.proof is None or self.proof.is_that_of(folder)

    def write(self, folder: Path) -> None:
        """Export to an empty folder, with proof and manifest."""
        self.export(folder)
        if self.proof is not None:
            self.proof.write(folder)
        write_manifest(folder, Manifest(self.key.facts, file_digests(folder), file_stamps(folder)))


@dataclass(frozen=True)
class ArtifactStore:
    """A cache folder of artifacts, shared by any number of processes.

    An artifact is whole when its manifest is there and every file has the SHA-256 that it says; anything else is
    exported again. Files are read only where one has another size or time of change than when they were digested last;
    with ``verifies`` they are once in the store's life, whatever those say. Several artifacts may have one key; which
    of them is meant is proved. A lock for each key is shared by those that read, and held by one that writes; it ends
    with the process. Nobody waits for it for longer than ``wait_s``; ``busy(text)`` is a context that shows what takes
    long, and ``waited`` gets the number of the process that was waited for, 0 if unknown, and the seconds. The least
    recently used artifacts go when ``limit_bytes`` is passed. It leaves alone files that it didn't write, moved
    folders, and links.
    """

    root: Path
    limit_bytes: int
    wait_s: float = 600
    busy: Callable[[str], contextlib.AbstractContextManager[None]] = lambda _: contextlib.nullcontext()
    verifies: bool = False
    waited: Callable[[int, float], None] = lambda *_: None
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
        wanted = _Wanted(key, export, say, proof)
        with contextlib.ExitStack() as held:
            try:
                folder = self._held(wanted, held)
            except _NoLockError as refusal:
                yield held.enter_context(self._without_writing(wanted, str(refusal)))
                return
            os.utime(folder / MANIFEST)
            self._used.add(folder)
            yield folder
        self._evict(keep=folder)

    def _held(self, wanted: _Wanted, held: contextlib.ExitStack) -> Path:
        """The folder of an artifact, exported now unless it was before; nobody removes it until ``held`` ends."""
        written: Path | None = None
        while True:
            with contextlib.ExitStack() as reading:
                self._acquire(wanted.key, "read", reading)
                is_there = written is not None and self.fault_of(written) is None
                if folder := written if is_there else self._found(wanted):
                    held.enter_context(reading.pop_all())
                    return folder
            with contextlib.ExitStack() as writing:
                self._acquire(wanted.key, "write", writing)
                if self._found(wanted) is None:  # else another process was faster
                    written = self._place_for(wanted)
                    _replace(written, wanted)

    def _acquire(self, key: ArtifactKey, mode: Literal["read", "write"], held: contextlib.ExitStack) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = _lock(self.root / f"{key.folder_name}.lock")
            hold = lock.read_lock if mode == "read" else lock.write_lock
            try:
                held.enter_context(hold(timeout=0))
            except Timeout:
                holder = holder_of(self.root / f"{key.folder_name}.lock")
                with self._wait_for(holder, key):
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

    @contextlib.contextmanager
    def _wait_for(self, holder: int, key: ArtifactKey) -> Iterator[None]:
        began_s = monotonic()
        try:
            with self.busy(f"waiting for {described(holder)}, which exports {key.name}"):
                yield
        finally:
            self.waited(holder, monotonic() - began_s)

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
        stamps = file_stamps(folder)
        trusted = self._digested.get(folder, {} if self.verifies else manifest.stamps)
        if stamps == trusted and manifest.files.keys() == stamps.keys():
            return None
        if file_digests(folder) != manifest.files:
            return "was altered"
        self._digested[folder] = stamps
        if folder.parent == self.root and stamps != manifest.stamps:
            with contextlib.suppress(OSError):  # a cache that is read-only
                write_manifest(folder, replace(manifest, stamps=stamps))
        return None

    def discard(self, folder: Path) -> None:
        """Remove an artifact that turned out to be wrong; one that lies elsewhere stays."""
        if folder.parent == self.root:
            _remove(folder)

    def _variants(self, key: ArtifactKey) -> list[Path]:
        """The folders under a key, the latest used first."""
        named = (path for path in self.root.glob(f"{key.folder_name}.*") if path.suffix[1:].isdecimal())
        folders = (path for path in named if is_artifact(path))
        return sorted(folders, key=last_use, reverse=True)

    def _found(self, wanted: _Wanted) -> Path | None:
        whole = (folder for folder in self._variants(wanted.key) if self.fault_of(folder) is None)
        return next(filter(wanted.is_in, whole), None)

    def _place_for(self, wanted: _Wanted) -> Path:
        """Where a new artifact goes: over one that is unusable, else beside those of models that answer otherwise."""
        key, say = wanted.key, wanted.say
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
    def _without_writing(self, wanted: _Wanted, refusal: str) -> Iterator[Path]:
        if folder := self._found(wanted):
            yield folder
            return
        wanted.say(refusal)
        with tempfile.TemporaryDirectory(prefix="cpuaccel-") as temporary:
            wanted.write(Path(temporary))
            yield Path(temporary)

    def _evict(self, keep: Path) -> None:
        folders = sorted((path for path in self.root.iterdir() if is_artifact(path)), key=last_use)
        sizes = {folder: size_of(folder) for folder in folders}
        excess = sum(sizes.values()) - self.limit_bytes
        for folder, size in sizes.items():
            if excess <= 0:
                return
            if folder != keep and _remove_unused(folder):
                excess -= size


def _replace(folder: Path, wanted: _Wanted) -> None:
    """Write an artifact to a folder, in place of what is there; it appears whole."""
    partial = folder.with_name(f"{folder.name}{PARTIAL}")
    _remove(partial)
    partial.mkdir()
    try:
        (partial / MARKER).write_text(folder.name, encoding="utf-8")
        whole = partial / folder.name
        whole.mkdir()
        wanted.write(whole)
        (whole / MARKER).write_text(folder.name, encoding="utf-8")
        _remove(folder)
        whole.rename(folder)
    finally:
        _remove(partial)


def _remove(folder: Path) -> None:
    """Remove a folder if a store made it, or a killed process that had only begun to."""
    if is_artifact(folder):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.name.endswith(PARTIAL):
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
