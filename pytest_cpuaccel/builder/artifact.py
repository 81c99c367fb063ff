"""An artifact: a folder of files that a backend's export wrote, with a manifest of what they are and depend on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "manifest.json"
EXAMPLE = "cpuaccel-example.pt"
"""Files in an artifact's folder that are the store's own, as is ``MARKER``."""

MARKER = ".cpuaccel-artifact"
"""The first file of an artifact's folder, which holds the folder's name: such folders alone are ever removed."""

Stamps = Mapping[str, tuple[int, int]]

PARTIAL = ".partial"
"""How the name of a folder ends that is being written."""


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
    """The facts that an artifact depends on, and the SHA-256 of each of its files by relative path.

    ``stamps`` have the size in bytes and the time of the last change in ns that each file had when it was digested.
    """

    key: Mapping[str, object]
    files: Mapping[str, str]
    stamps: Stamps


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


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a folder's manifest: it appears whole, and in place of one that other folders may share."""
    facts = {"key": dict(manifest.key), "files": dict(manifest.files), "stamps": dict(manifest.stamps)}
    whole = folder / f"{MANIFEST}.{os.getpid()}"
    whole.write_text(json.dumps(facts, indent=1, default=str), encoding="utf-8")
    whole.replace(folder / MANIFEST)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def last_use(folder: Path) -> float:
    """Return when an artifact was used last; 0 for what a killed writer left, or what another process removes now."""
    try:
        return (folder / MANIFEST).stat().st_mtime
    except OSError:
        return 0


def is_artifact(path: Path) -> bool:
    """Tell whether a path is a folder that a store made under this name, and not one that somebody else keeps there."""
    marker = path / MARKER
    if path.is_symlink() or marker.is_symlink() or not marker.is_file():
        return False
    try:
        return marker.read_text(encoding="utf-8", errors="replace") == path.name.removesuffix(PARTIAL)
    except OSError:  # another process removes it now
        return False


def file_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that an export wrote to a folder, by relative path."""
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in sorted(files_of(folder))}


def file_stamps(folder: Path) -> Stamps:
    """Return the size and the time of the last change of each file that an export wrote, by relative path."""
    found = ((path.relative_to(folder).as_posix(), path.stat()) for path in sorted(files_of(folder)))
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found}


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
