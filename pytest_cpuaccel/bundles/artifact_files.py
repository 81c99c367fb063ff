"""The files of an artifact: their digests, their copies, and the check that a copy is what it says."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pytest_cpuaccel.builder.artifact import file_digest
from pytest_cpuaccel.bundles.bundle import Artifact, ArtifactFile
from pytest_cpuaccel.bundles.plain_file import plain_file
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.units import format_bytes

MOST_BYTES = 8 << 30
"""The most that the artifact in a bundle may take."""


def artifact_in(folder: Path) -> Artifact:
    """Return the files in a folder with their digests, in the order of their paths."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = (
        ArtifactFile(path.relative_to(folder).as_posix(), path.stat().st_size, file_digest(path)) for path in paths
    )
    return Artifact(tuple(files))


def copy_artifact(artifact: Artifact, source: Path, target: Path) -> None:
    """Copy an artifact's files; links among them become files.

    Raises:
        UsageError: it takes too much.
    """
    size = sum(file.bytes for file in artifact.files)
    if size > MOST_BYTES:
        raise UsageError(f"the artifact takes {format_bytes(size)}; more than {format_bytes(MOST_BYTES)} is not copied")
    target.mkdir()
    for file in artifact.files:
        (target / file.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file.path, target / file.path)


def check_artifact(artifact: Artifact, folder: Path) -> None:
    """Check that a folder holds an artifact's files with these digests, and nothing else.

    Raises:
        UsageError: it does not.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise UsageError(f"there is no folder {folder.name!r}")
    if sum(file.bytes for file in artifact.files) > MOST_BYTES:
        raise UsageError(f"the artifact takes more than {format_bytes(MOST_BYTES)}")
    expected = {file.path: file for file in artifact.files}
    for path in _everything_in(folder):
        name = path.relative_to(folder).as_posix()
        if name not in expected:
            raise UsageError(f"the artifact holds {name[:80]!r}, which the bundle does not name")
        file = expected.pop(name)
        if plain_file(path, file.bytes) != file.bytes or file_digest(path) != file.sha256:
            raise UsageError(f"{name[:80]!r} of the artifact is not the file whose digest the bundle has")
    if expected:
        raise UsageError(f"the artifact lacks {next(iter(expected))[:80]!r}")


def _everything_in(folder: Path) -> Iterator[Path]:
    """All that is no folder; a linked folder is not entered."""
    for place, folders, files in os.walk(folder, followlinks=False):
        linked = [name for name in folders if (Path(place) / name).is_symlink()]
        yield from (Path(place) / name for name in (*files, *linked))
